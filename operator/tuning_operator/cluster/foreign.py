"""What is seen of a trial that is no Job, as a run. Pure.

A Job's end is seen on its pods. Of another kind only the study knows when an object has ended (`successCondition`,
`failureCondition`); until then its controller may restart pods as it likes, and all of that is one attempt. Its pods
tell the rest: since when it runs, what it reported, and why it failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.conditions import Condition, compile_condition
from tuning_operator.api.expressions import ExpressionError
from tuning_operator.api.study import StudySpec
from tuning_operator.cluster.seen import JobSeen, PodSeen, unix
from tuning_operator.cluster.together import STOPPED, blame
from tuning_operator.core.model import OBJECT_FAILED, QUEUED, Run, RunState

_MESSAGE_MAX = 1000
_TIMES = ("completionTime", "endTime")


@dataclass(frozen=True)
class Reading:
    """How a study reads its objects."""

    success: Condition
    failure: Condition
    primary: Mapping[str, str]

    def leads(self, pod: PodSeen) -> bool:
        """Whether it is the pod that reports."""
        return all(pod.labels.get(name) == value for name, value in self.primary.items())


def reading_of(spec: StudySpec) -> Reading | None:
    """None where trials are Jobs, or the spec has no good conditions."""
    success, failure = kinds.condition_texts(spec.trial)
    if kinds.named(spec.trial) is None or not success or not failure:
        return None
    try:
        return Reading(compile_condition(success), compile_condition(failure), kinds.primary_labels(spec.trial))
    except ExpressionError:
        return None


def judged(job: JobSeen, reading: Reading | None) -> JobSeen:
    """With its end, if it has come to one."""
    if not job.foreign or job.raw is None or reading is None:
        return job
    failed = reading.failure.holds(job.raw)
    ended = failed or reading.success.holds(job.raw)
    status = job.raw.get("status")
    status = status if isinstance(status, dict) else {}
    return replace(
        job,
        ended=ended,
        failed=failed,
        ended_at=_ended_at(status) if ended else None,
        message=_said(status),
    )


def run_of(job: JobSeen | None, pods: Sequence[PodSeen], reading: Reading | None) -> Run:
    """One attempt; `pods` are all of its pods that are known, those before a restart among them. One of both is
    there."""
    live = [pod for pod in pods if not (pod.ended or pod.gone)]
    mains = sorted((pod for pod in pods if reading is not None and reading.leads(pod)), key=lambda pod: pod.created_at)
    told = next((pod for pod in reversed(mains) if pod.report is not None), None)
    ends = [pod.ended_at for pod in pods if pod.ended_at is not None]
    run = Run(
        trial=job.trial if job is not None else pods[0].trial,
        attempt=job.attempt if job is not None else pods[0].attempt,
        state=RunState.WAITING,
        created_at=job.created_at if job is not None else min(pod.created_at for pod in pods),
        started_at=min((pod.started_at for pod in mains or pods if pod.started_at is not None), default=None),
        report=None if told is None else told.report,
        looked_at=None if told is None else told.looked_at,
    )
    if job is None:
        return _orphaned(run, live, ends)
    if job.deleting:
        return replace(run, state=RunState.STOPPING)
    if job.ended:
        ended = replace(
            run,
            state=RunState.ENDED,
            lingers=bool(live),
            ended_at=job.ended_at or max(ends, default=job.created_at),
            trouble=_not_found(pods, mains, reading),
        )
        return _failed(ended, job, pods) if job.failed else replace(ended, exit_code=0, unread=not pods)
    if job.suspended:
        if live:
            return replace(run, state=RunState.STOPPING)
        where = f"it waits in queue {job.queue!r}" if job.queue else "it waits for whoever suspended it"
        until = max(ends, default=None) if run.started_at is not None else None
        message = f"its object is suspended: {where}"
        return replace(run, reason=QUEUED, message=message, ended_at=until or job.suspended_at)
    if run.started_at is not None:
        return replace(run, state=RunState.RUNNING)
    held_up = next((pod for pod in live if pod.reason), None)
    if held_up is not None:
        return replace(run, reason=held_up.reason, message=held_up.message)
    return replace(run, message="" if pods else job.message)


def main_pod(pods: Sequence[PodSeen], reading: Reading | None) -> PodSeen | None:
    """The latest one that reports."""
    mains = [pod for pod in pods if reading is not None and reading.leads(pod)]
    return max(mains, key=lambda pod: pod.created_at, default=None)


def devices(pods: Sequence[PodSeen], reading: Reading | None) -> tuple[tuple[str, int], ...]:
    """What its pods hold together: those that live, or that lived together with the last one that reported."""
    main = main_pod(pods, reading)
    live = [pod for pod in pods if not (pod.ended or pod.gone)]
    beside = live or [pod for pod in pods if main is None or _together(pod, main)]
    return tuple(device for pod in beside for device in pod.devices)


def _together(pod: PodSeen, main: PodSeen) -> bool:
    endless = float("inf")
    return (pod.started_at or pod.created_at) <= (main.ended_at or endless) and (pod.ended_at or endless) >= (
        main.started_at or main.created_at
    )


def _orphaned(run: Run, live: Sequence[PodSeen], ends: Sequence[float]) -> Run:
    """Its object is gone: only what its pods still are counts. What they came to, it would have said."""
    if live:
        return replace(run, state=RunState.STOPPING)
    message = "its object is gone, and its end was not seen"
    return replace(run, state=RunState.ENDED, ended_at=max(ends, default=None), disrupted=True, message=message)


def _failed(run: Run, job: JobSeen, pods: Sequence[PodSeen]) -> Run:
    """Why, as the pod says that was first to fail by itself; its controller stops the others."""
    over = [pod for pod in pods if (pod.ended and pod.exit_code != 0) or pod.disrupted or (pod.gone and not pod.ended)]
    cause = [pod for pod in over if pod.disrupted or _by_itself(pod)]
    if cause:
        first = min(cause, key=blame)
        return replace(
            run,
            exit_code=first.exit_code,
            reason=first.reason,
            message=first.message or job.message,
            disrupted=first.disrupted,
        )
    # Deleted before the object failed: somebody else did that, and the controller took it for a failure.
    taken = [pod for pod in over if pod.ended_at is not None and run.ended_at is not None]
    if any((pod.ended_at or 0.0) <= (run.ended_at or 0.0) for pod in taken):
        return replace(run, disrupted=True, message=job.message or "a pod of it was deleted")
    return replace(run, reason=OBJECT_FAILED, message=job.message)


def _by_itself(pod: PodSeen) -> bool:
    return pod.ended and not (pod.deleting and pod.exit_code in STOPPED) and not (pod.gone and pod.exit_code is None)


def _not_found(pods: Sequence[PodSeen], mains: Sequence[PodSeen], reading: Reading | None) -> str:
    if not pods or mains or reading is None:
        return ""
    wanted = ", ".join(f"{name}: {value}" for name, value in reading.primary.items())
    return f"none of its {len(pods)} pods has the labels {wanted} (spec.trial.primaryPod)"


def _said(status: Mapping[str, Any]) -> str:
    """The latest thing that the controller says."""
    true = [each for each in kinds.listed(status.get("conditions")) if each.get("status") == "True"]
    latest = max(true, key=lambda each: str(each.get("lastTransitionTime") or ""), default={})
    parts = [str(latest.get("reason") or ""), str(latest.get("message") or status.get("message") or "")]
    return ": ".join(part for part in parts if part)[:_MESSAGE_MAX]


def _ended_at(status: Mapping[str, Any]) -> float | None:
    for name in _TIMES:
        at = unix(status.get(name))
        if at is not None:
            return at
    true = [each for each in kinds.listed(status.get("conditions")) if each.get("status") == "True"]
    times = [unix(each.get("lastTransitionTime")) for each in true]
    return max((at for at in times if at is not None), default=None)
