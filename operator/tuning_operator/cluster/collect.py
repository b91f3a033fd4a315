"""Looks at the values of running trials, and once more at those that have ended where that brings the last ones.

How a look is taken is a `Reader`'s matter, one for each source. What it finds was written by a user's container, so
whatever comes of a look, it is bounded in size and time, and a failure is that trial's alone. Where rungs are waited
for, `pace.py` says when to look.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import aiohttp

from tuning_operator.api.sources import read_at_the_end, source_of
from tuning_operator.api.study import MetricsSource, StudySpec
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.pace import Pace
from tuning_operator.cluster.seen import PodSeen
from tuning_operator.cluster.specs import spec_of
from tuning_operator.cluster.store import Key, Known, Looked, Store
from tuning_operator.core.rungs import budgets, until
from tuning_operator.metrics.exposition import AmbiguousMetricError
from tuning_operator.metrics.live import Live
from tuning_trial.report import Report

log = logging.getLogger(__name__)

AT_ONCE: Final = 32
TICK: Final = 0.5
SHORTEST_TICK: Final = 0.05
TROUBLE_MAX: Final = 300
_AGAIN_AFTER_END: Final = (0.5, 10.0)
"""Seconds to the next try where the last look at an ended trial failed: the first, the longest."""


class NoMoreError(Exception):
    """Nothing will come of looking again; the message says why."""


@dataclass(slots=True)
class Target:
    """One pod whose values are looked at."""

    known: Known
    pod: PodSeen
    """As it was seen last."""
    spec: StudySpec
    live: Live
    pace: Pace
    budgets: tuple[int, ...]
    awaited: tuple[int, ...]
    """Rungs of which the trial's end will not tell by itself."""
    due: float
    busy: bool = False
    failures: int = 0
    cursor: Any = None
    """How far its reader has come."""
    report: Report | None = None
    """What the last look found."""

    @property
    def wanted(self) -> list[str]:
        return [o.metric for o in self.spec.objectives] + [c.metric for c in self.spec.constraints]

    def ahead(self) -> Iterable[int]:
        """Rungs that nothing is known of yet."""
        rungs = {} if self.report is None else self.report.rungs
        return [budget for budget in self.awaited if budget not in rungs]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found."""

    report: Report | None
    at: float | None = None
    """When these values held; None where nothing can have been missed since, or where that is not known."""


class Reader(Protocol):
    """One way to values."""

    async def look(self, target: Target) -> Seen:
        """What is known now; of an ended pod all that there is. Raises what `_FAILURES` names, or `NoMoreError`."""
        ...

    def grace(self, target: Target) -> float:
        """Seconds from a pod's end until the last look can bring everything."""
        ...


_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError, ApiError)


class Collector:
    def __init__(
        self, store: Store, queue: KeyQueue[Key], meters: Meters, readers: Mapping[MetricsSource, Reader]
    ) -> None:
        self._store = store
        self._queue = queue
        self._meters = meters
        self._readers = readers
        self._targets: dict[tuple[str, str], Target] = {}
        """By study uid and pod uid."""
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            while True:
                due = self._tick()
                await asyncio.sleep(min(TICK, max(SHORTEST_TICK, due - time.monotonic())))
        finally:
            for task in self._busy:
                task.cancel()

    def _tick(self) -> float:
        """When the next look is due."""
        now, soonest = time.monotonic(), float("inf")
        seen: set[tuple[str, str]] = set()
        for known in self._store.studies.values():
            spec = spec_of(known)
            reader = None if spec is None else self._readers.get(source_of(spec))
            if spec is None or reader is None:
                continue
            late = read_at_the_end(spec)
            for pod in known.pods.values():
                if not known.reports(pod) or known.recorded(pod.trial):
                    continue
                if not (_can_be_asked(pod) or (late and _has_ended(known, pod))):
                    continue
                name = known.uid, pod.identity.uid
                seen.add(name)
                target = self._targets.get(name)
                if target is None:
                    target = self._targets[name] = _target(known, pod, spec, now)
                if target.busy:
                    continue
                if pod.ended and not target.pod.ended:
                    target.due, target.failures = _due_at_end(pod, reader.grace(target), now), 0
                target.pod = pod
                if now >= target.due and len(self._busy) < AT_ONCE:
                    target.busy = True
                    task = asyncio.create_task(self._look(reader, target))
                    self._busy.add(task)
                    task.add_done_callback(self._busy.discard)
                else:
                    soonest = min(soonest, target.due)
        for name in self._targets.keys() - seen:
            del self._targets[name]
        return soonest

    async def _look(self, reader: Reader, target: Target) -> None:
        before, seen, trouble, outcome, again = target.report, Seen(None), "", "ok", False
        try:
            seen = await reader.look(target)
        except _FAILURES as error:
            outcome = "ambiguous" if isinstance(error, AmbiguousMetricError) else "failed"
            trouble, again = str(error) or repr(error), True
            self._failed(target, trouble)
        except NoMoreError as error:
            outcome, trouble = "failed", str(error)
        except Exception as error:
            # A fault of ours, or words of a trial that we did not think of: that trial's alone, and not in each tick.
            outcome, trouble, again = "failed", repr(error), True
            target.failures += 1
            log.exception("a look at a trial's values failed", extra={"study": "/".join(target.known.key)})
        finally:
            target.busy = False
        if not again:
            target.failures = 0
        ended = target.pod.ended
        self._take(target, before, seen, trouble=trouble[:TROUBLE_MAX], complete=ended and not again)
        now = time.monotonic()
        target.pace.saw(None if seen.report is None else seen.report.step, now)
        first, longest = _AGAIN_AFTER_END
        late = min(longest, first * 2.0 ** min(target.failures - 1, 10))
        target.due = now + (late if ended else target.pace.wait(now, target.ahead()))
        self._meters.scraped(source_of(target.spec).value, outcome)

    def _take(self, target: Target, before: Report | None, seen: Seen, *, trouble: str, complete: bool) -> None:
        known, attempt = target.known, (target.pod.trial, target.pod.attempt)
        if known.recorded(target.pod.trial):
            return
        looked, report = known.looked.get(attempt, Looked()), seen.report
        target.report = target.report if report is None else report
        if report is not None:
            news = looked.report is None or (before is not None and report.rungs.keys() > before.rungs.keys())
            known.looked[attempt] = Looked(report, seen.at, trouble, complete)
        else:
            news = False
            known.looked[attempt] = replace(looked, trouble=trouble, complete=complete)
        if news or complete:
            self._queue.add(known.key)

    def _failed(self, target: Target, trouble: str) -> None:
        target.failures += 1
        if target.failures == 1:
            words = {"study": "/".join(target.known.key), "trial": target.pod.trial, "error": trouble}
            log.debug("a trial's values cannot be read", extra=words)


def _can_be_asked(pod: PodSeen) -> bool:
    return pod.running and bool(pod.address) and not pod.deleting


def _has_ended(known: Known, pod: PodSeen) -> bool:
    """And its last values have still to be read, as it left no report."""
    looked = known.looked.get((pod.trial, pod.attempt))
    return pod.ended and not pod.gone and pod.report is None and (looked is None or not looked.complete)


def _due_at_end(pod: PodSeen, grace: float, now: float) -> float:
    """Times of pods are another clock's, and that of an end may be unknown: never later than the grace from now."""
    since = 0.0 if pod.ended_at is None else max(0.0, time.time() - pod.ended_at)
    return now + max(0.0, grace - since)


def _target(known: Known, pod: PodSeen, spec: StudySpec, now: float) -> Target:
    trial = known.trials.get(pod.trial)
    rungs = () if trial is None else budgets(spec, trial.trial)
    end = None if trial is None else until(spec, trial.trial)
    pace = Pace(spec.metrics.interval_seconds, now)
    awaited = tuple(budget for budget in rungs if end is None or budget < end)
    live = Live(spec.objectives, rungs, each_is_news=source_of(spec) is MetricsSource.LOGS)
    begun = replace(pod, ended=False)
    return Target(known, begun, spec, live, pace, rungs, awaited, now + pace.first)
