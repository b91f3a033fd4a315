"""Names that users and other programs see: API group, kinds, labels, annotations. Nothing else lives here."""

from typing import Final

GROUP: Final = "tuning.study"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

STUDY_KIND: Final = "TuningStudy"
STUDY_PLURAL: Final = "tuningstudies"
TRIAL_KIND: Final = "TuningTrial"
TRIAL_PLURAL: Final = "tuningtrials"

FIELD_MANAGER: Final = "tuning-operator"

LABEL_STUDY: Final = "tuning.study/study"
"""Name of the study, on trials, Jobs and pods (cut to 63 characters)."""
LABEL_STUDY_UID: Final = "tuning.study/study-uid"
LABEL_TRIAL: Final = "tuning.study/trial"
"""Number of the trial, on trials, Jobs and pods."""
LABEL_ATTEMPT: Final = "tuning.study/attempt"
LABEL_KIND: Final = "tuning.study/kind"
"""On pods of trials that are no Jobs: the kind that the trial is."""
LABEL_QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""Kueue's own: on a study or in its template, and then on its Jobs."""
LABEL_QUEUE_PRIORITY: Final = "kueue.x-k8s.io/priority-class"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "tuning-operator"
