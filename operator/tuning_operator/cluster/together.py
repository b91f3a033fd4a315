"""The pods of a trial that train together, seen as one. Pure.

They begin when all run, are done when all are, and one that is lost or fails ends all: the Job controller stops the
others, whose ends then say nothing of the trial. The first pod has the word on values.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tuning_operator.cluster.seen import JobSeen, PodSeen

STOPPED: Final = frozenset({137, 143})
"""Exit codes of SIGKILL and SIGTERM: what the others of a failed one leave."""


def together(workers: Mapping[int, PodSeen], job: JobSeen | None) -> PodSeen | None:
    """One pod that stands for all; `workers` by index. None where only the Job can tell, as some pods are gone."""
    wanted = job.workers if job is not None else len(workers)
    pods = [workers[index] for index in sorted(workers)]
    if wanted <= 1 and len(pods) == 1:
        return pods[0]
    live = [pod for pod in pods if not pod.ended and not pod.gone]
    failed = [pod for pod in pods if pod.gone or (pod.ended and pod.exit_code != 0)]
    if failed and not live:
        return _as_one(min(failed, key=blame), pods)
    if failed:
        return replace(_as_one(live[0], pods), running=True, deleting=True)
    waiting = [pod for pod in live if not pod.running]
    if waiting:
        return replace(next((pod for pod in waiting if pod.reason), waiting[0]), started_at=None)
    if live:
        running = _as_one(live[0], pods)
        return replace(running, running=True, deleting=any(pod.deleting for pod in live))
    if len(pods) < wanted:
        done = job is not None and job.ended and not job.failed
        return _as_one(pods[0], pods) if done else replace(_as_one(pods[0], pods), ended=False, running=True)
    return _as_one(pods[0], pods)


def blame(pod: PodSeen) -> tuple[bool, bool, bool, bool, float, int]:
    """The least one is why the others ended: lost by itself, failed by itself, stopped, and the first of those."""
    stopped = pod.exit_code in STOPPED
    return not pod.disrupted, pod.gone, stopped, pod.deleting, pod.ended_at or float("inf"), pod.index


def _as_one(pod: PodSeen, pods: list[PodSeen]) -> PodSeen:
    starts = [each.started_at for each in pods if each.started_at is not None]
    ends = [each.ended_at for each in pods if each.ended_at is not None]
    return replace(
        pod,
        address=pods[0].address,
        started_at=min(starts, default=None),
        ended_at=max(ends, default=None),
        report=pods[0].report if pods[0].index == 0 else None,
        looked_at=pods[0].looked_at if pods[0].index == 0 else None,
    )
