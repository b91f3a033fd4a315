"""Why a Job has no pod: quota or admission refused it, and only the Job controller's events say so. What other kinds
wait for is their controllers' matter.

Asked for only when a Job has been without a pod for a while, of one Job for a study, less and less often.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from tuning_operator.cluster.client import EVENTS, Client
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.seen import JobSeen
from tuning_operator.cluster.store import Known

log = logging.getLogger(__name__)

FIRST_LOOK: Final = 2.0
MOST: Final = 30.0


class Refusals:
    def __init__(self, client: Client, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        self._next: dict[str, tuple[float, float]] = {}
        """By study uid: when to look next, and the pause after that."""

    async def look(self, known: Known) -> float | None:
        """Brings `known.refused` up to date; seconds until it should be called again, if at all."""
        waiting = _without_pod(known)
        uids = {job.identity.uid for job in waiting}
        for uid in [uid for uid in known.refused if uid not in uids]:
            del known.refused[uid]
        if not waiting:
            self._next.pop(known.uid, None)
            return None
        now = self._now()
        oldest = min(waiting, key=lambda job: job.created_at)
        due, pause = self._next.get(known.uid, (oldest.created_at + FIRST_LOOK, FIRST_LOOK))
        if now >= due:
            refusal = await self._ask(oldest)
            for job in waiting:
                if refusal is None:
                    known.refused.pop(job.identity.uid, None)
                else:
                    known.refused[job.identity.uid] = refusal
            due, pause = now + pause, min(MOST, pause * 2)
        self._next[known.uid] = due, pause
        return max(0.1, due - now)

    def forget(self, uid: str) -> None:
        self._next.pop(uid, None)

    async def _ask(self, job: JobSeen) -> tuple[str, str] | None:
        fields = f"regarding.uid={job.identity.uid},reason=FailedCreate"
        try:
            events = await self._client.collect(EVENTS, job.identity.namespace, fields=fields)
        except ApiError as error:
            log.warning("events of a Job cannot be read", extra={"job": job.identity.name, "error": str(error)})
            return None
        if not events:
            return None
        note = str(max(events, key=_last).get("note") or "")[:1000]
        return ("QuotaExceeded" if "exceeded quota" in note else "FailedCreate"), note


def _without_pod(known: Known) -> list[JobSeen]:
    with_pod = {pod.identity.owner_uid for pod in known.pods.values()}
    return [
        job
        for job in known.jobs.values()
        if not (job.foreign or job.deleting or job.ended or job.suspended or job.identity.uid in with_pod)
    ]


def _last(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("deprecatedLastTimestamp") or event.get("eventTime") or "")
