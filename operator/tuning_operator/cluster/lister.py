"""Complete lists into the store: at the start of everything, and of each active study again and again.

Watches lie: they miss deletions while they are away, and events while a process restarts.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import aclosing

from tuning_operator.api import names
from tuning_operator.cluster.client import JOBS, PODS, STUDIES, TRIALS, Client, Kind
from tuning_operator.cluster.errors import NotFoundError
from tuning_operator.cluster.seen import JobSeen, PodSeen, Seen, TrialSeen, study_seen
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.cluster.watch import DECODERS

log = logging.getLogger(__name__)

_TYPES: dict[Kind, type] = {TRIALS: TrialSeen, JOBS: JobSeen, PODS: PodSeen}


class Lister:
    def __init__(self, client: Client, store: Store, *, namespaces: Sequence[str]) -> None:
        self._client = client
        self._store = store
        self._namespaces: Sequence[str | None] = namespaces or [None]

    async def load(self) -> list[Key]:
        """Everything there is; the keys of all studies. Trials before Jobs before pods, as they were created."""
        now = time.monotonic()
        for namespace in self._namespaces:
            for kind, decode in DECODERS.items():
                selector = "" if kind is STUDIES else names.LABEL_STUDY_UID
                async with aclosing(self._client.pages(kind, namespace, labels=selector)) as pages:
                    async for page, _ in pages:
                        for raw in page:
                            seen = decode(raw)
                            if seen is not None:
                                self._store.put(seen)
        for known in self._store.studies.values():
            known.listed_at = now
        return list(self._store.studies)

    async def refresh(self, known: Known) -> bool:
        """Read one study and its objects again; False if it is no more, or another study has its name now.

        Of trials whose result is recorded nothing is read: it never changes. Once, at first, everything is.
        """
        namespace, name = known.key
        try:
            raw = await self._client.get(STUDIES, namespace, name)
        except NotFoundError:
            self._store.forget(known.key)
            return False
        self._store.put(study_seen(raw))
        if self._store.get(known.key) is not known:
            return False
        began = time.monotonic()
        numbers = None if known.listed_at is None else _unrecorded(known)
        for kind, type_ in _TYPES.items():
            await self._refresh(known, kind, type_, numbers)
        known.listed_at = began
        return True

    async def _refresh(self, known: Known, kind: Kind, type_: type, numbers: Sequence[int] | None) -> None:
        selector = f"{names.LABEL_STUDY_UID}={known.uid}"
        if numbers is not None:
            if not numbers:
                return
            selector += f",{names.LABEL_TRIAL} in ({','.join(map(str, numbers))})"
        present: list[Seen] = []
        version = 0
        async with aclosing(self._client.pages(kind, known.key[0], labels=selector)) as pages:
            async for page, page_version in pages:
                version = version or page_version
                for raw in page:
                    seen = DECODERS[kind](raw)
                    if seen is not None:
                        present.append(seen)
                        self._store.put(seen)
        wanted = None if numbers is None else frozenset(numbers)
        self._store.settle(known, present, kinds=(type_,), numbers=wanted, version=version, at=time.time())


def _unrecorded(known: Known) -> list[int]:
    """Trials without a result, those with anything left of them, and the next ones."""
    numbers = {number for number, seen in known.trials.items() if seen.trial.result is None}
    numbers |= {job.trial for job in known.jobs.values()} | {pod.trial for pod in known.pods.values()}
    last = max(known.trials, default=-1)
    return sorted(numbers | {last + 1})
