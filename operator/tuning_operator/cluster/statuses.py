"""The study's status: written by server-side apply when it changed, and not more often than people read.

The status is a projection and may be late. What a person waits for (state, best, a new spec observed) is written soon,
mere counts a few seconds later; so a trial's end, the next one's creation and its start are one write.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api import names
from tuning_operator.cluster.announce import Announcer
from tuning_operator.cluster.client import STUDIES, Api, Object
from tuning_operator.cluster.errors import ConflictError, NotFoundError
from tuning_operator.cluster.seen import study_seen
from tuning_operator.cluster.store import Known, Store
from tuning_operator.core.model import Event
from tuning_operator.core.times import timestamp

SOON: Final = 0.3
LATER: Final = 5.0
APART: Final = 1.0
"""Seconds between two writes, whatever changed."""
_IMPORTANT: Final = ("state", "observedGeneration", "bestValue", "final", "completionTime")


@dataclass(slots=True)
class _Written:
    wish: Mapping[str, Any] | None = None
    """What was applied last, by this process, and what the server made of it."""
    answer: Mapping[str, Any] | None = None
    at: float = float("-inf")
    changed_at: float | None = None
    """Since when something is to be written."""
    important: bool = False


class Statuses:
    def __init__(self, api: Api, store: Store, announcer: Announcer) -> None:
        self._api = api
        self._store = store
        self._announcer = announcer
        self._written: dict[str, _Written] = {}

    async def write(
        self, known: Known, status: Mapping[str, Any], *, events: Sequence[Event], at_once: bool
    ) -> float | None:
        """Write the status, or say after how many seconds to come again with it."""
        memory = self._written.setdefault(known.uid, _Written())
        current = known.seen.status
        if status == current or (status == memory.wish and current == memory.answer):
            memory.changed_at, memory.important = None, False
            return None
        now = time.monotonic()
        if memory.changed_at is None:
            memory.changed_at = now
        memory.important = memory.important or bool(events) or _important(current, status)
        due = max(memory.changed_at + (SOON if memory.important else LATER), memory.at + APART)
        if not at_once and now < due:
            return due - now
        if not await self._apply(known, memory, status):
            return SOON
        await self._announcer.tell(known, events)
        return None

    async def tell(self, known: Known, events: Sequence[Event]) -> None:
        """Events that are no reason to write the status."""
        await self._announcer.tell(known, events)

    def forget(self, uid: str) -> None:
        self._written.pop(uid, None)

    async def _apply(self, known: Known, memory: _Written, status: Mapping[str, Any]) -> bool:
        """Whether it stands. Only over the version that is known: an older write of ours, of which no answer came and
        which is still under way, must not come after this one and stay."""
        namespace, name = known.key
        body: Object = {
            "apiVersion": names.API_VERSION,
            "kind": names.STUDY_KIND,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": known.uid,
                "resourceVersion": str(known.seen.identity.version),
            },
            "status": dict(status),
        }
        try:
            try:
                answer = await self._api.apply(STUDIES, namespace, name, body, subresource="status")
            except ConflictError:
                self._store.put(study_seen(await self._api.get(STUDIES, namespace, name)))
                return False
        except NotFoundError:
            self._store.forget(known.key)
            return True
        seen = study_seen(answer)
        self._store.put(seen)
        memory.wish, memory.answer, memory.at = status, seen.status, time.monotonic()
        memory.changed_at, memory.important = None, False
        return True


def unreadable_status(known: Known, now: float) -> dict[str, Any]:
    """Of a study whose spec this operator cannot read at all; the ledger is as it was."""
    message = "; ".join(known.invalid)[:4096]
    generation = known.seen.generation
    before = {condition.get("type"): condition for condition in known.seen.status.get("conditions") or ()}
    conditions = []
    for kind, status in (("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True")):
        old = before.get(kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": "InvalidSpec",
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": since or timestamp(now),
            }
        )
    kept = {key: value for key, value in known.seen.status.items() if key not in ("conditions", "state")}
    return kept | {"observedGeneration": generation, "state": "Stalled", "conditions": conditions}


def _important(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if any(before.get(key) != after.get(key) for key in _IMPORTANT):
        return True
    return _reasons(before) != _reasons(after)


def _reasons(status: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    return [(c.get("type"), c.get("status"), c.get("reason")) for c in status.get("conditions") or ()]
