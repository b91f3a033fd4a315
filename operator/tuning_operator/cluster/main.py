"""The operator's process: lease, lists, workers, watch, and an orderly end.

Order at the start: lead, then read everything, then work, then watch. What changes between the reading and the watching
is found by the watch's own list. Order at the end: stop taking work, let writes under way finish, then release the
lease.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuning_operator.api import names
from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster import logs
from tuning_operator.cluster.act import Actor
from tuning_operator.cluster.announce import Announcer
from tuning_operator.cluster.client import Client, Patience
from tuning_operator.cluster.collect import AT_ONCE, Collector, Reader
from tuning_operator.cluster.connection import Connection, NoConnectionError, Source, own_namespace
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.jobs import JobSettings
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.lease import Lease, NotLeaderError, Times
from tuning_operator.cluster.lister import Lister
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.podlogs import LogReader
from tuning_operator.cluster.prometheus import QueryReader, Servers
from tuning_operator.cluster.prometheus import session as prometheus_session
from tuning_operator.cluster.refusals import Refusals
from tuning_operator.cluster.scrape import Scraper, session
from tuning_operator.cluster.seen import JobSeen, PodSeen, Seen
from tuning_operator.cluster.serve import serve
from tuning_operator.cluster.sidecar import SidecarReader
from tuning_operator.cluster.statuses import Statuses
from tuning_operator.cluster.store import Key, Store
from tuning_operator.cluster.warmstart import Teachers
from tuning_operator.cluster.watch import Watch
from tuning_operator.cluster.worker import Worker
from tuning_operator.search.lookahead import LookAhead

log = logging.getLogger(__name__)

WORKERS = 16
"""Studies that are worked on at once; most of that time is waiting for the API server."""
STOP_SECONDS = 10.0
FIRST_ROUND_LOOKS = 150


@dataclass(frozen=True)
class Options:
    """What `tuning operator` takes from its command line."""

    trainer_image: str
    operator_image: str = ""
    """Of the sidecars that follow trials."""
    namespaces: Sequence[str] = ()
    """Empty: all."""
    kubeconfig: str | None = None
    lease_namespace: str | None = None
    lease_name: str = "tuning-operator"
    lease_times: Times = field(default_factory=Times)
    metrics_port: int = 8080
    prometheus: Servers = field(default_factory=Servers)
    """Which servers studies may ask for values."""
    log_level: str = "info"
    log_format: str = "json"


def run(options: Options) -> int:
    """The process's exit code: 0 after SIGTERM, 1 if it must be started again."""
    logs.set_up(options.log_level, options.log_format)
    # Watch events are thousands of small dicts without cycles. At the default thresholds the collector walks through
    # everything that was imported again and again, while all threads wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    try:
        return asyncio.run(_run(options))
    except NoConnectionError as error:
        log.error("no API server to talk to", extra={"error": str(error)})
        return 1


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    operator = await Operator.create(options)
    work = asyncio.create_task(operator.run())
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", extra={"signal": stop.is_set()})
    waiting.cancel()
    work.cancel()
    outcome = (await asyncio.gather(work, return_exceptions=True))[0]
    await operator.close()
    if stop.is_set():
        return 0
    log.error("the operator ends and must be started again", extra={"error": repr(outcome)})
    return 1


class Operator:
    """All parts, put together."""

    def __init__(self, options: Options, connection: Connection) -> None:
        identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        times = options.lease_times
        self._options = options
        self._source = connection.source
        self.meters = Meters()
        self._lease_client = Client(
            connection,
            observe=self.meters.requested,
            patience=Patience(attempts=1, timeout=min(5.0, times.renew_deadline / 2)),
        )
        self.lease = Lease(
            self._lease_client,
            namespace=options.lease_namespace or own_namespace(),
            name=options.lease_name,
            identity=identity,
            times=times,
        )
        self._client = Client(
            connection,
            gate=self.lease.check,
            observe=self.meters.requested,
            patience=Patience(timeout=max(1.0, times.write_timeout)),
        )
        self.store = Store(on_forget=self._forget)
        self.queue: KeyQueue[Key] = KeyQueue()
        self._lookahead = LookAhead(on_ready=self._suggestion_ready)
        self._lister = Lister(self._client, self.store, namespaces=options.namespaces)
        self._watch = Watch(
            self._source,
            namespaces=options.namespaces,
            on_seen=self._on_seen,
            on_restart=self.meters.watch_restarted,
        )
        self._statuses = Statuses(self._client, self.store, Announcer(self._client, instance=identity))
        self._refusals = Refusals(self._client)
        images = JobSettings(options.trainer_image, options.operator_image)
        self._worker = Worker(
            store=self.store,
            queue=self.queue,
            lister=self._lister,
            actor=Actor(
                self._client,
                self.store,
                images,
                now=time.time,
                meters=self.meters,
            ),
            statuses=self._statuses,
            refusals=self._refusals,
            lookahead=self._lookahead,
            teachers=Teachers(self._client, self.store),
            meters=self.meters,
            refuse=options.prometheus.problems,
        )
        self._loop = asyncio.get_running_loop()
        self._loaded = False
        self._workers: list[asyncio.Task[None]] = []

    @staticmethod
    async def create(options: Options) -> "Operator":
        return Operator(options, await Connection.open(Source.find(options.kubeconfig)))

    async def run(self) -> None:
        """Until the lease is lost or something fails that cannot be repaired from inside."""
        server = await serve(self._options.metrics_port, meters=self.meters, refresh=self._refresh, ready=self._missing)
        try:
            await self._wait_for_crds()
            await self.lease.acquire()
            await self._lead()
        finally:
            await server.cleanup()

    async def close(self) -> None:
        """Let writes under way finish, then give the lease back."""
        self.queue.close()
        if self._workers:
            await asyncio.wait(self._workers, timeout=STOP_SECONDS)
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self.lease.release()
        self._lookahead.close(timeout=1.0)
        if self._loaded:
            await self._watch.stop()
        await self._client.close()
        await self._lease_client.close()

    async def _lead(self) -> None:
        holding = asyncio.create_task(self.lease.hold(), name="lease")
        scraping = asyncio.create_task(self._collect(), name="collect")
        try:
            began = time.monotonic()
            keys = await self._lister.load()
            log.info("loaded", extra={"studies": len(keys), "seconds": round(time.monotonic() - began, 3)})
            for key in sorted(keys, key=self._ended):
                self.queue.add(key)
            self._workers = [asyncio.create_task(self._worker.run(), name=f"worker-{n}") for n in range(WORKERS)]
            await self._first_round()
            self._loaded = True
            self._watch.start()
            await asyncio.wait({holding, scraping, *self._workers}, return_when=asyncio.FIRST_COMPLETED)
            for task in (scraping, *self._workers):
                if task.done() and task.exception() is not None and not isinstance(task.exception(), NotLeaderError):
                    log.error("a part of the operator failed", exc_info=task.exception())
        finally:
            holding.cancel()
            scraping.cancel()
            await asyncio.gather(holding, scraping, return_exceptions=True)

    async def _collect(self) -> None:
        servers = self._options.prometheus
        async with session(AT_ONCE) as http, prometheus_session(servers, AT_ONCE) as trusted:
            readers: dict[MetricsSource, Reader] = {
                MetricsSource.DIRECT: Scraper(http),
                MetricsSource.SIDECAR: SidecarReader(http),
                MetricsSource.LOGS: LogReader(self._client),
                MetricsSource.QUERY: QueryReader(trusted, servers),
            }
            await Collector(self.store, self.queue, self.meters, readers).run()

    async def _first_round(self) -> None:
        """kopf takes a second of the interpreter to import: what waits for its first Job goes before it."""
        for _ in range(FIRST_ROUND_LOOKS):
            if not len(self.queue):
                return
            await asyncio.sleep(0.02)

    def _ended(self, key: Key) -> bool:
        known = self.store.get(key)
        return known is not None and known.seen.status.get("state") in ("Succeeded", "Failed")

    async def _wait_for_crds(self) -> None:
        path = f"/apis/{names.API_VERSION}"
        while True:
            try:
                found = {resource["name"] for resource in (await self._client.discover(path)).get("resources", ())}
                if {names.STUDY_PLURAL, names.TRIAL_PLURAL} <= found:
                    return
                log.warning("waiting for the CRDs", extra={"missing": path})
            except ApiError as error:
                log.warning("waiting for the CRDs", extra={"missing": path, "error": str(error)})
            await asyncio.sleep(2)

    def _on_seen(self, seen: Seen, deleted: bool) -> None:
        known = self.store.of(seen)
        if isinstance(seen, JobSeen):
            self.meters.watched(seen.identity.uid)
        if isinstance(seen, PodSeen) and seen.ended and known is not None and not deleted:
            before = known.pods.get(seen.identity.uid)
            if before is not None and not before.ended:
                self.meters.slot_freed(known.uid)
        key = self.store.remove(seen, at=time.time()) if deleted else self.store.put(seen)
        if key is not None:
            self.queue.add(key)

    def _forget(self, uid: str) -> None:
        self._lookahead.forget(uid)
        self._statuses.forget(uid)
        self._refusals.forget(uid)
        self.meters.study_gone(uid)

    def _suggestion_ready(self, uid: object) -> None:
        self._loop.call_soon_threadsafe(self._wake, uid)

    def _wake(self, uid: object) -> None:
        key = self.store.key_of(str(uid))
        known = None if key is None else self.store.get(key)
        if known is not None:
            self._worker.suggestion_ready(known)

    def _refresh(self) -> None:
        states = Counter(
            str(seen.trial.recorded_state) for known in self.store.studies.values() for seen in known.trials.values()
        )
        self.meters.state(leading=self.lease.leading, queue=len(self.queue), trials=dict(states))

    def _missing(self) -> str:
        """A standby is ready: it stands by. A leader is ready once it has read and watches everything."""
        if self.lease.leading and not self._loaded:
            return "loading"
        if self.lease.leading and not self._watch.running:
            return "the watch is not running"
        return ""
