"""Complete lists into the store: at the start of everything, and of each active study again and again.

Watches lie: they miss deletions while they are away, and events while a process restarts.
"""

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing

from tuning_operator.api import names
from tuning_operator.cluster.client import JOBS, PODS, STUDIES, TRIALS, Client, Kind
from tuning_operator.cluster.errors import ForbiddenError, NotFoundError
from tuning_operator.cluster.seen import study_seen
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.cluster.trial_kinds import TrialKinds

log = logging.getLogger(__name__)


class Lister:
    def __init__(self, client: Client, store: Store, kinds: TrialKinds, *, namespaces: Sequence[str]) -> None:
        self._client = client
        self._store = store
        self._kinds = kinds
        self._namespaces: Sequence[str | None] = namespaces or [None]

    async def load(self) -> list[Key]:
        """Everything there is; the keys of all studies. Trials before Jobs before pods, as they were created."""
        now = time.monotonic()
        self._kinds.forget()
        for kind in self._kinds.decoders(served_only=False):
            if kind in self._kinds.resources:
                await self._try(kind)
            else:
                await self._load_all(kind)
        for known in self._store.studies.values():
            known.listed_at = now
        return list(self._store.studies)

    async def look_for_kinds(self) -> bool:
        """Whether a kind is served now that was not before."""
        return any([await self._try(kind, warn=False) for kind in self._kinds.missing])

    async def _try(self, kind: Kind, *, warn: bool = True) -> bool:
        """Load a kind that may not be there; whether it is."""
        try:
            await self._load_all(kind)
            if not await self._discovered(kind):
                return False
        except (NotFoundError, ForbiddenError) as error:
            words = {"resource": f"{kind.plural}.{kind.group}", "error": str(error)}
            level = logging.WARNING if warn else logging.DEBUG
            log.log(level, "trials cannot be of a kind that they may be of: it cannot be listed", extra=words)
            if isinstance(error, NotFoundError):
                self._uninstalled(kind)
            else:
                self._kinds.absent.discard(kind)
            return False
        self._kinds.served.add(kind)
        self._kinds.absent.discard(kind)
        return True

    async def _discovered(self, kind: Kind) -> bool:
        """kopf watches only what discovery names; of a CRD that is just installed it does a moment after the lists."""
        path = f"{kind.group}/{kind.version}"
        groups = (await self._client.discover("/apis"))["groups"]
        if path not in {version["groupVersion"] for group in groups for version in group["versions"]}:
            return False
        found = await self._client.discover(f"/apis/{path}")
        return kind.plural in {resource["name"] for resource in found["resources"]}

    async def _load_all(self, kind: Kind) -> None:
        decode = self._kinds.decoders(served_only=False)[kind]
        selector = "" if kind is STUDIES else names.LABEL_STUDY_UID
        for namespace in self._namespaces:
            async with aclosing(self._client.pages(kind, namespace, labels=selector)) as pages:
                async for page, _ in pages:
                    for raw in page:
                        seen = decode(raw)
                        if seen is not None:
                            self._store.put(seen)

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
        for kind in (TRIALS, *self._objects(known), PODS):
            try:
                await self._refresh(known, kind, numbers)
            except NotFoundError:
                if kind not in self._kinds.resources:
                    raise
                self._uninstalled(kind)
        known.listed_at = began
        return True

    async def look_for_gone_trials(self) -> list[Key]:
        """Trials that went while nobody watched, those with a result too; the keys of their studies."""
        changed: list[Key] = []
        for namespace in self._namespaces:
            found: set[str] = set()
            version = 0
            selector = names.LABEL_STUDY_UID
            async with aclosing(self._client.pages(TRIALS, namespace, labels=selector, only_metadata=True)) as pages:
                async for page, page_version in pages:
                    version = version or page_version
                    found.update(raw["metadata"]["uid"] for raw in page)
            for key, known in self._store.studies.items():
                if namespace in (None, key[0]) and self._store.settle(
                    known, found, kind=TRIALS, numbers=None, version=version, at=time.time()
                ):
                    changed.append(key)
        return changed

    def _uninstalled(self, kind: Kind) -> None:
        """There is no CRD of it, or no more, and none of its objects."""
        self._kinds.served.discard(kind)
        self._kinds.absent.add(kind)
        for known in self._store.studies.values():
            self._store.settle(known, (), kind=kind, numbers=None, version=sys.maxsize, at=time.time())

    def _objects(self, known: Known) -> list[Kind]:
        """What its trials are, and have been before its spec was corrected."""
        found = {JOBS, *(job.kind for job in known.jobs.values())}
        if known.study is not None and not self._kinds.problems(known.study.spec):
            found.add(self._kinds.resource_of(known.study.spec.trial))
        return [kind for kind in found if kind == JOBS or kind in self._kinds.served]

    async def _refresh(self, known: Known, kind: Kind, numbers: Sequence[int] | None) -> None:
        selector = f"{names.LABEL_STUDY_UID}={known.uid}"
        if numbers is not None:
            if not numbers:
                return
            selector += f",{names.LABEL_TRIAL} in ({','.join(map(str, numbers))})"
        found: set[str] = set()
        version = 0
        decode = self._kinds.decoders(served_only=False)[kind]
        async with aclosing(self._client.pages(kind, known.key[0], labels=selector)) as pages:
            async for page, page_version in pages:
                version = version or page_version
                for raw in page:
                    seen = decode(raw)
                    if seen is not None:
                        found.add(seen.identity.uid)
                        self._store.put(seen)
        wanted = None if numbers is None else frozenset(numbers)
        self._store.settle(known, found, kind=kind, numbers=wanted, version=version, at=time.time())


def _unrecorded(known: Known) -> list[int]:
    """Trials without a result, those with anything left of them, and the next ones."""
    numbers = {number for number, seen in known.trials.items() if seen.trial.result is None}
    numbers |= {job.trial for job in known.jobs.values()} | {pod.trial for pod in known.pods.values()}
    last = max(known.trials, default=-1)
    return sorted(numbers | {last + 1})
