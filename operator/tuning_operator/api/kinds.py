"""What is known of the kinds besides Job that a trial can be: how their objects say that they ended, and which pod
reports.

A kind that is not in the table is as good as one that is: its study says the same by `successCondition`,
`failureCondition` and `primaryPod`. Whatever a study says stands before the table. Pure; what the operator puts into
such an object is in `cluster/objects.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api.study import TrialSpec

Object = dict[str, Any]

JOB: Final = ("batch", "Job")
INDEX: Final = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Named:
    """A kind as a template names it."""

    group: str
    version: str
    kind: str

    @property
    def full(self) -> str:
        """`JobSet.jobset.x-k8s.io`, as policies name it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(frozen=True, slots=True)
class Known:
    """How objects of a kind are to be read."""

    success: str
    failure: str
    primary: Callable[[Object], Mapping[str, str]]
    """From the object's spec to labels that only the reporting pod has."""
    suspend: tuple[str, ...] = ("suspend",)
    """Where below `spec` it can be suspended."""
    whole: bool = True
    """Every pod that its controller makes is written out in the object."""


def named(trial: TrialSpec) -> Named | None:
    """The kind of a study's trials; None where they are Jobs."""
    template = trial.template or {}
    version, kind = template.get("apiVersion"), template.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return None
    group, slash, rest = version.partition("/")
    found = Named(group, rest, kind) if slash else Named("", version, kind)
    return None if (found.group, found.kind) == JOB else found


def known(kind: Named) -> Known | None:
    return _KNOWN.get((kind.group, kind.kind))


def suspend_path(kind: Named) -> tuple[str, ...]:
    """Where below `spec` an object of it is suspended; most have it where Jobs have it."""
    found = known(kind)
    return ("suspend",) if found is None else found.suspend


def primary_labels(trial: TrialSpec) -> Mapping[str, str]:
    """Labels of the pod that reports."""
    kind = named(trial)
    found = None if kind is None else known(kind)
    if trial.primary_pod or found is None:
        return trial.primary_pod or {}
    spec = (trial.template or {}).get("spec")
    return found.primary(spec if isinstance(spec, dict) else {})


def condition_texts(trial: TrialSpec) -> tuple[str, str]:
    """The two conditions, of success and of failure; empty where nobody says one."""
    kind = named(trial)
    found = None if kind is None else known(kind)
    success = trial.success_condition or ("" if found is None else found.success)
    return success, trial.failure_condition or ("" if found is None else found.failure)


def known_kinds() -> list[str]:
    """Those that need no conditions."""
    return [kind for _, kind in _KNOWN]


def listed(value: Any) -> list[Object]:
    """The objects of a list, whatever a user may have written there."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _condition(kind: str) -> str:
    return f'object.status.conditions.exists(c, c.type == "{kind}" && c.status == "True")'


def _jobset_primary(spec: Object) -> Mapping[str, str]:
    """The coordinator if one is named, else the first pod of the first replicated Job."""
    jobs = listed(spec.get("replicatedJobs"))
    coordinator = spec.get("coordinator")
    chosen = coordinator if isinstance(coordinator, dict) else {}
    job = chosen.get("replicatedJob") or (jobs[0].get("name") if jobs else "")
    return {
        "jobset.sigs.k8s.io/replicatedjob-name": str(job),
        "jobset.sigs.k8s.io/job-index": str(chosen.get("jobIndex") or 0),
        INDEX: str(chosen.get("podIndex") or 0),
    }


def _pytorchjob_primary(spec: Object) -> Mapping[str, str]:
    """The master, or without one (elastic training) the first worker."""
    replicas = spec.get("pytorchReplicaSpecs")
    first = "master" if isinstance(replicas, dict) and "Master" in replicas else "worker"
    return {"training.kubeflow.org/replica-type": first, "training.kubeflow.org/replica-index": "0"}


_KNOWN: Final[dict[tuple[str, str], Known]] = {
    ("jobset.x-k8s.io", "JobSet"): Known(_condition("Completed"), _condition("Failed"), _jobset_primary),
    ("kubeflow.org", "PyTorchJob"): Known(
        _condition("Succeeded"), _condition("Failed"), _pytorchjob_primary, suspend=("runPolicy", "suspend")
    ),
    ("trainer.kubeflow.org", "TrainJob"): Known(
        _condition("Complete"),
        _condition("Failed"),
        lambda spec: {
            "jobset.sigs.k8s.io/replicatedjob-name": "node", "jobset.sigs.k8s.io/job-index": "0", INDEX: "0"
        },
        whole=False,
    ),
    ("ray.io", "RayJob"): Known(
        'object.status.jobStatus == "SUCCEEDED"',
        'object.status.jobStatus in ["FAILED", "STOPPED"] || object.status.jobDeploymentStatus == "Failed"',
        lambda spec: {"ray.io/node-type": "head"},
    ),
}  # fmt: skip
