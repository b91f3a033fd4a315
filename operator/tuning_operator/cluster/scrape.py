"""`Direct` collection: the operator scrapes the running pods' own `/metrics`.

What comes back was written by a user's container: bounded in size, time and number at once, no redirects, no
compression, no credentials. A pod that does not answer is no error: the final values come by the termination message.
The last scrape counts only for an image that leaves none. Where rungs are waited for, `pace.py` says when to look.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import aiohttp

from tuning_operator.api.study import MetricsSource, StudySpec
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.pace import Pace
from tuning_operator.cluster.seen import PodSeen
from tuning_operator.cluster.specs import spec_of
from tuning_operator.cluster.store import Attempt, Key, Known, Store
from tuning_operator.core.rungs import budgets, until
from tuning_operator.metrics.exposition import AmbiguousMetricError, read
from tuning_operator.metrics.live import Live

log = logging.getLogger(__name__)

AT_ONCE: Final = 32
BODY_MAX: Final = 1 << 20
TIMEOUT: Final = aiohttp.ClientTimeout(total=4, sock_connect=2)
TICK: Final = 0.5
SHORTEST_TICK: Final = 0.05
HEADERS: Final = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity", "User-Agent": "tuning-operator"}


@dataclass(slots=True)
class _Target:
    live: Live
    pace: Pace
    budgets: tuple[int, ...]
    awaited: tuple[int, ...]
    """Rungs of which the trial's end will not tell by itself."""
    due: float
    failures: int = 0

    def ahead(self) -> Iterable[int]:
        """Rungs that nothing is known of yet."""
        report = self.live.report()
        return [budget for budget in self.awaited if report is None or budget not in report.rungs]


class Scraper:
    def __init__(self, store: Store, queue: KeyQueue[Key], meters: Meters) -> None:
        self._store = store
        self._queue = queue
        self._meters = meters
        self._targets: dict[tuple[str, Attempt], _Target] = {}
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=AT_ONCE, force_close=True)
        async with aiohttp.ClientSession(
            connector=connector, timeout=TIMEOUT, trust_env=False, auto_decompress=False, headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:  # fmt: skip
            try:
                while True:
                    due = self._tick(session)
                    await asyncio.sleep(min(TICK, max(SHORTEST_TICK, due - time.monotonic())))
            finally:
                for task in self._busy:
                    task.cancel()

    def _tick(self, session: aiohttp.ClientSession) -> float:
        """When the next scrape is due."""
        now, soonest = time.monotonic(), float("inf")
        seen: set[tuple[str, Attempt]] = set()
        for known in self._store.studies.values():
            spec = spec_of(known)
            if spec is None or spec.metrics.source not in (MetricsSource.AUTO, MetricsSource.DIRECT):
                continue
            for pod in known.pods.values():
                if not pod.running or not pod.address or pod.deleting or known.recorded(pod.trial):
                    continue
                name = known.uid, (pod.trial, pod.attempt)
                seen.add(name)
                target = self._targets.get(name)
                if target is None:
                    target = self._targets[name] = _target(known, pod, spec, now)
                if now >= target.due and len(self._busy) < AT_ONCE:
                    target.due = now + spec.metrics.interval_seconds
                    task = asyncio.create_task(self._scrape(session, known, pod, spec, target))
                    self._busy.add(task)
                    task.add_done_callback(self._busy.discard)
                soonest = min(soonest, target.due)
        for name in self._targets.keys() - seen:
            del self._targets[name]
        return soonest

    async def _scrape(
        self, session: aiohttp.ClientSession, known: Known, pod: PodSeen, spec: StudySpec, target: _Target
    ) -> None:
        outcome, step = "ok", None
        try:
            body = await _fetch(session, url(pod.address, spec.metrics.port, spec.metrics.path))
            wanted = [o.metric for o in spec.objectives] + [c.metric for c in spec.constraints]
            before = target.live.report()
            scrape = read(body, wanted, target.budgets)
            report = target.live.add(scrape)
            step = scrape.step
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            outcome = "ambiguous" if isinstance(error, AmbiguousMetricError) else "failed"
            target.failures += 1
            if target.failures == 1:
                words = {"study": "/".join(known.key), "trial": pod.trial, "error": str(error) or repr(error)}
                log.debug("a trial's metrics cannot be read", extra=words)
        else:
            attempt = pod.trial, pod.attempt
            if report is not None and not known.recorded(pod.trial):
                news = attempt not in known.scraped or (
                    before is not None and report.rungs.keys() > before.rungs.keys()
                )
                known.scraped[attempt] = report
                if news:
                    self._queue.add(known.key)
        now = time.monotonic()
        target.pace.saw(step, now)
        target.due = now + target.pace.wait(now, target.ahead())
        self._meters.scraped(outcome)


def _target(known: Known, pod: PodSeen, spec: StudySpec, now: float) -> _Target:
    trial = known.trials.get(pod.trial)
    rungs = () if trial is None else budgets(spec, trial.trial)
    end = None if trial is None else until(spec, trial.trial)
    pace = Pace(spec.metrics.interval_seconds, now)
    awaited = tuple(budget for budget in rungs if end is None or budget < end)
    return _Target(Live(spec.objectives, rungs), pace, rungs, awaited, now + pace.first)


def url(address: str, port: int, path: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"


async def _fetch(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(address, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"{address} answered {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > BODY_MAX:
                raise ValueError(f"{address} sends more than {BODY_MAX} bytes")
    return body.decode("utf-8", "replace")
