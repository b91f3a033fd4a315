"""Which kinds besides Job an installation lets trials be, and which of them its cluster serves.

The administrator names them (`--trial-kind`, the chart's `trialKinds`), since the operator has rights for just these. A
kind whose CRD is not installed, or that we have no rights for, is left alone: neither read nor watched, until it is
there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.study import StudySpec, TrialSpec
from tuning_operator.cluster.client import JOBS, PODS, STUDIES, TRIALS, Kind
from tuning_operator.cluster.seen import Seen, job_seen, object_seen, pod_seen, study_seen, trial_seen

Decoders = Mapping[Kind, Callable[[Any], Seen | None]]


@dataclass(frozen=True, slots=True)
class TrialKind:
    """One of them."""

    named: kinds.Named
    plural: str

    @staticmethod
    def parse(text: str) -> "TrialKind":
        """From `GROUP/VERSION/KIND/PLURAL`. Raises `ValueError`."""
        parts = text.split("/")
        if len(parts) != 4 or not all(parts):
            raise ValueError(
                f"{text!r}: write GROUP/VERSION/KIND/PLURAL, such as jobset.x-k8s.io/v1alpha2/JobSet/jobsets"
            )
        group, version, kind, plural = parts
        if (group, kind) == kinds.JOB:
            raise ValueError(f"{text!r}: Jobs need not be named")
        return TrialKind(kinds.Named(group, version, kind), plural)

    @property
    def resource(self) -> Kind:
        return Kind(self.named.group, self.named.version, self.plural)


class TrialKinds:
    def __init__(self, allowed: Iterable[TrialKind] = ()) -> None:
        self._allowed = {each.named: each for each in allowed}
        self.served: set[Kind] = set()
        """Those of them that could be listed."""
        self.absent: set[Kind] = set()
        """Those of them that the cluster does not have, as far as is known."""

    @property
    def resources(self) -> list[Kind]:
        """All that are allowed, whether or not they are served."""
        return [each.resource for each in self._allowed.values()]

    def resource_of(self, trial: TrialSpec) -> Kind:
        """Of what a study's trials are. It has no problems."""
        named = kinds.named(trial)
        return JOBS if named is None else self._allowed[named].resource

    def problems(self, spec: StudySpec) -> tuple[str, ...]:
        named = kinds.named(spec.trial)
        if named is None or named in self._allowed:
            return ()
        allowed = (
            ", ".join(sorted(f"{each.kind} ({each.group}/{each.version})" for each in self._allowed)) or "Jobs only"
        )
        return (
            f"spec.trial.template.kind: {named.kind} of {named.group}/{named.version}: trials of this cluster may be "
            f"{allowed}; write one of these, or ask the administrator to allow it (trialKinds of the chart)",
        )

    def absence(self, spec: StudySpec) -> str:
        """Why no trial of a study can be made, where its kind is not, or no longer, installed; empty otherwise."""
        named = kinds.named(spec.trial)
        if named not in self._allowed or self._allowed[named].resource not in self.absent:
            return ""
        return not_installed(named)

    def forget(self) -> None:
        """Which of them are served is to be found out anew. Until then their objects are known as they were."""
        self.served.clear()

    def decoders(self, *, served_only: bool = True) -> Decoders:
        """How objects are read: trials before their Jobs before the pods, as they are created."""
        foreign = {
            each.resource: partial(object_seen, kind=each.resource, suspend=kinds.suspend_path(each.named))
            for each in self._allowed.values()
            if not served_only or each.resource in self.served
        }
        return {STUDIES: study_seen, TRIALS: trial_seen, JOBS: job_seen, **foreign, PODS: pod_seen}

    def decode(self, kind: Kind, raw: Any) -> Seen | None:
        """An answer to a write of ours."""
        return self.decoders(served_only=False)[kind](raw)

    @property
    def missing(self) -> Sequence[Kind]:
        return [kind for kind in self.resources if kind not in self.served]


def not_installed(named: kinds.Named) -> str:
    return (
        f"spec.trial.template: the cluster has no {named.kind} of {named.group}/{named.version}: install it, or write "
        "another kind"
    )
