"""One term of leadership: lists, workers, watch, and all that is known, from the lease's gain to its loss.

Order at the start: read everything, then work, then watch. What changes between the reading and the watching is found
by the watch's own list, and what goes by another look. At the end nothing is kept: who leads next, this process or
another, reads everything again. Nothing of an ended term may write: its tasks are over before the next one begins.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster.act import Actor
from tuning_operator.cluster.announce import Announcer
from tuning_operator.cluster.capping import Capping
from tuning_operator.cluster.client import Client
from tuning_operator.cluster.collect import AT_ONCE, Collector, Reader
from tuning_operator.cluster.connection import Source
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.jobs import JobSettings
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.lister import Lister
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.podlogs import LogReader
from tuning_operator.cluster.policy import Policy
from tuning_operator.cluster.prometheus import QueryReader, Servers
from tuning_operator.cluster.prometheus import session as prometheus_session
from tuning_operator.cluster.refusals import Refusals
from tuning_operator.cluster.scrape import Scraper, session
from tuning_operator.cluster.seen import JobSeen, PodSeen, Seen
from tuning_operator.cluster.shares import Shares
from tuning_operator.cluster.sidecar import SidecarReader
from tuning_operator.cluster.statuses import Statuses
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.cluster.trial_kinds import TrialKinds
from tuning_operator.cluster.warmstart import Teachers
from tuning_operator.cluster.watch import Watch
from tuning_operator.cluster.worker import Worker
from tuning_operator.search.lookahead import LookAhead

log = logging.getLogger(__name__)

WORKERS = 16
"""Studies that are worked on at once; most of that time is waiting for the API server."""
STOP_SECONDS = 10.0
FIRST_ROUND_LOOKS = 150
LOAD_AGAIN_SECONDS = 1.0
LOOK_FOR_KINDS_SECONDS = 10.0
LISTED_SECONDS = 1.0
"""Without another object: the watch's list is over."""


class Term:
    """All parts, put together."""

    def __init__(
        self,
        client: Client,
        source: Source,
        *,
        namespaces: Sequence[str],
        serves: Callable[[str], bool],
        images: JobSettings,
        servers: Servers,
        policy: Policy,
        kinds: TrialKinds,
        meters: Meters,
        instance: str,
    ) -> None:
        self._client = client
        self._servers = servers
        self._meters = meters
        self._capping = Capping(Shares(policy))
        self.store = Store(on_forget=self._forget, serves=serves)
        self.queue: KeyQueue[Key] = KeyQueue()
        self._lookahead = LookAhead(on_ready=self._suggestion_ready)
        self._kinds = kinds
        self._lister = Lister(client, self.store, kinds, namespaces=namespaces)
        self._watch = Watch(
            source,
            namespaces=namespaces,
            decoders=kinds.decoders,
            serves=serves,
            on_seen=self._on_seen,
            on_restart=self._watch_failed,
        )
        self._statuses = Statuses(client, self.store, Announcer(client, instance=instance))
        self._refusals = Refusals(client)
        self._worker = Worker(
            store=self.store,
            queue=self.queue,
            lister=self._lister,
            actor=Actor(client, self.store, images, now=time.time, meters=meters, policy=policy, trial_kinds=kinds),
            statuses=self._statuses,
            refusals=self._refusals,
            lookahead=self._lookahead,
            teachers=Teachers(client, self.store),
            capping=self._capping,
            meters=meters,
            refuse=lambda spec: (*servers.problems(spec), *kinds.problems(spec)),
            absence=kinds.absence,
            service_accounts=lambda namespace: policy.of(namespace).service_accounts,
        )
        self._loop = asyncio.get_running_loop()
        self._kinds_in_doubt = asyncio.Event()
        self._loaded = False
        self._workers: list[asyncio.Task[None]] = []

    @property
    def missing(self) -> str:
        """What is not there yet; empty once everything is read and watched."""
        if not self._loaded:
            return "loading"
        return "" if self._watch.running else "the watch is not running"

    async def run(self) -> None:
        """Returns when a part of it has ended, which none does by itself; a part's failure is raised."""
        scraping = asyncio.create_task(self._collect(), name="collect")
        looking = asyncio.create_task(self._look_for_kinds(), name="kinds")
        missing = asyncio.create_task(self._look_for_gone(), name="gone")
        try:
            keys = sorted(await self._load(), key=self._ended)
            for key in keys:
                if not self._ended(key):
                    self._worker.begin(self.store.studies[key])
            for key in keys:
                self.queue.add(key)
            self._workers = [asyncio.create_task(self._worker.run(), name=f"worker-{n}") for n in range(WORKERS)]
            await self._first_round()
            self._loaded = True
            self._watch.start()
            parts = {scraping, *self._workers}
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            for task in (scraping, looking, missing):
                task.cancel()
            await asyncio.gather(scraping, looking, missing, return_exceptions=True)

    async def finish(self) -> None:
        """Take nothing new; let what is under way come to its end."""
        self.queue.close()
        if self._workers:
            await asyncio.wait(self._workers, timeout=STOP_SECONDS)

    async def close(self) -> None:
        """Nothing of it is left to write when this returns."""
        self.queue.close()
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for key in list(self.store.studies):
            self.store.forget(key)
        await asyncio.to_thread(self._lookahead.close, 1.0)
        if self._loaded:
            await self._watch.stop()

    async def _load(self) -> list[Key]:
        began = time.monotonic()
        while True:
            try:
                keys = await self._lister.load()
            except ApiError as error:
                log.warning("what there is cannot be read yet", extra={"error": str(error)})
                await asyncio.sleep(LOAD_AGAIN_SECONDS)
                continue
            log.info("loaded", extra={"studies": len(keys), "seconds": round(time.monotonic() - began, 3)})
            return keys

    async def _collect(self) -> None:
        async with session(AT_ONCE) as http, prometheus_session(self._servers, AT_ONCE) as trusted:
            readers: dict[MetricsSource, Reader] = {
                MetricsSource.DIRECT: Scraper(http),
                MetricsSource.SIDECAR: SidecarReader(http),
                MetricsSource.LOGS: LogReader(self._client),
                MetricsSource.QUERY: QueryReader(trusted, self._servers),
            }
            await Collector(self.store, self.queue, self._meters, readers).run()

    async def _look_for_kinds(self) -> None:
        """A kind that is installed later is watched from then on; of one that is taken away its studies are told."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._kinds_in_doubt.wait(), LOOK_FOR_KINDS_SECONDS)
            self._kinds_in_doubt.clear()
            if not self._loaded or not self._kinds.missing:
                continue
            absent = set(self._kinds.absent)
            try:
                found = await self._lister.look_for_kinds()
            except ApiError as error:
                log.warning("what kinds there are cannot be read", extra={"error": str(error)})
                continue
            if found:
                self._watch.restart()
            if found or absent != self._kinds.absent:
                for known in self.store.studies.values():
                    self._worker.kinds_changed(known)

    def _watch_failed(self) -> None:
        """Perhaps since a kind was taken away. It watches again what there is then: a kind that is back by now, and was
        not when the watch began again, would go unwatched."""
        self._meters.watch_restarted()
        self._kinds.forget()
        self._kinds_in_doubt.set()

    async def _look_for_gone(self) -> None:
        """A trial that was deleted before the watch was there, or while it was away, is missed by it."""
        looked_for: float | None = None
        while True:
            await asyncio.sleep(LISTED_SECONDS)
            listed_at = self._watch.listed_at
            if listed_at is None or listed_at == looked_for or time.monotonic() - listed_at < LISTED_SECONDS:
                continue
            try:
                for key in await self._lister.look_for_gone_trials():
                    self.queue.add(key)
                looked_for = listed_at
            except ApiError as error:
                log.warning("what trials there are cannot be read", extra={"error": str(error)})

    async def _first_round(self) -> None:
        """kopf takes a second of the interpreter to import: what waits for its first Job goes before it."""
        for _ in range(FIRST_ROUND_LOOKS):
            if not len(self.queue):
                return
            await asyncio.sleep(0.02)

    def _ended(self, key: Key) -> bool:
        known = self.store.get(key)
        return known is not None and known.seen.status.get("state") in ("Succeeded", "Failed")

    def _on_seen(self, seen: Seen, deleted: bool) -> None:
        known = self.store.of(seen)
        if isinstance(seen, JobSeen):
            self._meters.watched(seen.identity.uid)
        if isinstance(seen, PodSeen) and seen.ended and known is not None and not deleted:
            before = known.pods.get(seen.identity.uid)
            if before is not None and not before.ended:
                self._meters.slot_freed(known.uid)
        key = self.store.remove(seen, at=time.time()) if deleted else self.store.put(seen)
        if key is not None:
            self.queue.add(key)

    def _forget(self, known: Known) -> None:
        uid = known.uid
        for key in self._capping.forget(known.key):
            self.queue.add(key)
        self._lookahead.forget(uid)
        self._statuses.forget(uid)
        self._refusals.forget(uid)
        self._meters.study_gone(uid)

    def _suggestion_ready(self, uid: object) -> None:
        self._loop.call_soon_threadsafe(self._wake, uid)

    def _wake(self, uid: object) -> None:
        key = self.store.key_of(str(uid))
        known = None if key is None else self.store.get(key)
        if known is not None:
            self._worker.suggestion_ready(known)
