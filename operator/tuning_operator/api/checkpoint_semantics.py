"""Schedulers that pause trials need a place where their checkpoints outlive a pod; on one machine there always is."""

from collections.abc import Iterator
from typing import Any

from tuning_operator.api.pod_templates import pod_templates
from tuning_operator.api.problem import Problem
from tuning_operator.api.scheduling import ASHAMode, ASHASettings, SchedulerName
from tuning_operator.api.study import StudySpec, TrialSpec

CHECKPOINT_DIR = "/checkpoint"
"""Where trials see it, on a cluster."""

_PAUSING = (SchedulerName.HYPERBAND, SchedulerName.SUCCESSIVE_HALVING)


def checkpoint_problems(spec: StudySpec) -> Iterator[Problem]:
    """What a cluster says; `tuning run` keeps the directory of each trial anyway."""
    scheduler = spec.scheduler.name
    mode = (spec.scheduler.asha or ASHASettings()).mode
    pauses = scheduler in _PAUSING or (scheduler is SchedulerName.ASHA and mode is not ASHAMode.STOP)
    if not (pauses or scheduler is SchedulerName.PBT) or _kept(spec.trial):
        return
    named = f"{scheduler.value} ({mode.value})" if scheduler is SchedulerName.ASHA else scheduler.value
    does = "copies the checkpoints of good members" if scheduler is SchedulerName.PBT else "pauses trials at rungs"
    instead = "asha: {mode: Stop}" if scheduler is SchedulerName.ASHA else "scheduler: {name: ASHA, asha: {mode: Stop}}"
    yield Problem(
        "spec.trial.checkpoints.claimName",
        "",
        f"scheduler {named} {does}, and without a claim their checkpoints are lost with the pod; name a "
        f"PersistentVolumeClaim, mount a volume at {CHECKPOINT_DIR} in the template, or write {instead}",
    )


def _kept(trial: TrialSpec) -> bool:
    """A claim holds the checkpoints, or the template mounts a volume of its own where they are."""
    if trial.checkpoints.claim_name is not None:
        return True
    return any(_mounts(template["spec"]) for _, template in pod_templates(trial.template))


def _mounts(pod: dict[str, Any]) -> bool:
    passing = {volume.get("name") for volume in _objects(pod.get("volumes")) if "emptyDir" in volume}
    mounts = [each for container in _objects(pod["containers"]) for each in _objects(container.get("volumeMounts"))]
    return any(each.get("mountPath") == CHECKPOINT_DIR and each.get("name") not in passing for each in mounts)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
