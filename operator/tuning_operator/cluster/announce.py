"""Events on a study for `kubectl describe`: few, and repeated ones counted instead of written again.

Events are for people; nothing depends on them, so a failure to write one is logged and forgotten.
"""

import datetime
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Final

from tuning_operator.api import names
from tuning_operator.cluster.client import EVENTS, Api, Object
from tuning_operator.cluster.errors import AlreadyExistsError, ApiError, NotFoundError
from tuning_operator.cluster.store import Known
from tuning_operator.core.model import Event

log = logging.getLogger(__name__)

QUIET_SECONDS: Final = 300.0
"""The same event within this time is only counted."""
_MOST: Final = 1000


class Announcer:
    def __init__(self, api: Api, *, instance: str) -> None:
        self._api = api
        self._instance = instance[:128]
        self._told: dict[str, tuple[float, int]] = {}
        """By event name: when it was written last, and how often it came."""

    async def tell(self, known: Known, events: Sequence[Event]) -> None:
        for event in events:
            try:
                await self._tell(known, event)
            except ApiError as error:
                log.warning("an event could not be written", extra={"study": "/".join(known.key), "error": str(error)})

    async def _tell(self, known: Known, event: Event) -> None:
        words = "\n".join((known.uid, event.type, event.reason, event.note))
        name = f"{known.key[1][:200]}.{hashlib.sha256(words.encode()).hexdigest()[:16]}"
        at, count = self._told.get(name, (float("-inf"), 0))
        self._remember(name, at, count + 1)
        if time.monotonic() - at < QUIET_SECONDS:
            return
        self._remember(name, time.monotonic(), count + 1)
        try:
            if count:
                await self._repeat(known.key[0], name, count + 1)
            else:
                await self._api.create(EVENTS, known.key[0], self._body(known, name, event))
        except AlreadyExistsError:
            await self._repeat(known.key[0], name, 2)
        except NotFoundError:
            self._told.pop(name, None)  # events expire after an hour or so; the next one is a new one

    async def _repeat(self, namespace: str, name: str, count: int) -> None:
        await self._api.merge(EVENTS, namespace, name, {"series": {"count": max(2, count), "lastObservedTime": _now()}})

    def _remember(self, name: str, at: float, count: int) -> None:
        self._told.pop(name, None)
        self._told[name] = at, count
        while len(self._told) > _MOST:
            del self._told[next(iter(self._told))]

    def _body(self, known: Known, name: str, event: Event) -> Object:
        return {
            "metadata": {"name": name, "namespace": known.key[0]},
            "eventTime": _now(),
            "reportingController": "tuning.study/operator",
            "reportingInstance": self._instance,
            "action": event.action,
            "reason": event.reason[:128],
            "note": event.note[:1024],
            "type": event.type,
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.STUDY_KIND,
                "namespace": known.key[0],
                "name": known.key[1],
                "uid": known.uid,
            },
        }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
