"""The ledger, folded: one pass over the recorded trials in the order in which they ended.

The fold decides what depends on that order alone (target, failures, patience), so an end once reached stays reached
whatever is recorded after it, and comes out the same when everything but the ledger is lost. Adding a trial is a
handful of comparisons: 10,000 of them cost some 10 ms.
"""

import copy
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import TrialState
from tuning_operator.core.leaders import Leader, Leaders
from tuning_operator.core.model import Result, Trial
from tuning_operator.core.objectives import broken_constraints, reached_targets
from tuning_operator.core.rungs import NOT_PROMOTED

TARGET_REACHED = "TargetReached"
TOO_MANY_FAILURES = "TooManyFailures"
PATIENCE_EXHAUSTED = "PatienceExhausted"
NOT_WORTHWHILE = "NotWorthwhile"
EXPECTATIONS = 3
"""Least trials in a row that must promise too little before the search ends; at least as many as run at once."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What ended the search, and the trial with which it did."""

    reason: str
    trial: Trial


class Tally:
    """Counts, best and end of the trials added so far; add them in the order of their ends."""

    def __init__(self, spec: StudySpec, recorded: Iterable[Trial] = ()) -> None:
        self.spec = spec
        self.succeeded = 0
        self.failed = 0
        self.stopped = 0
        self.leaders = Leaders(spec.objectives)
        self.since_best = 0
        self.reached: Reached | None = None
        self.failure_reasons: dict[str, int] = {}
        self.last_failed: Trial | None = None
        self.stop_reasons: set[str] = set()
        self.accelerator_seconds = 0.0
        self.started_at: float | None = None
        self.last_end = 0.0
        self.proven = False
        """Whether any trial came as far as to report something: the image and the command work."""
        self._targets = any(objective.target is not None for objective in spec.objectives)
        self._expected: deque[float | None] = deque(maxlen=max(EXPECTATIONS, spec.limits.parallel))
        self._seconds = 0.0
        for trial in by_end(recorded):
            self.add(trial)

    def copy(self) -> "Tally":
        """Another one, to which others may be added."""
        other = copy.copy(self)
        other.leaders = self.leaders.copy()
        other.failure_reasons = dict(self.failure_reasons)
        other.stop_reasons = set(self.stop_reasons)
        other._expected = self._expected.copy()
        return other

    @property
    def best(self) -> Leader | None:
        return self.leaders.best

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed + self.stopped

    def add(self, trial: Trial) -> None:
        result = trial.result
        if result is None:
            raise ValueError(f"trial {trial.number} has no result yet")
        self.spend(trial)
        if trial.ended_at is not None and trial.ended_at > self.last_end and result.reason != NOT_PROMOTED:
            self.last_end = trial.ended_at
        if result.step is not None:
            self.proven = True
        if result.state is TrialState.SUCCEEDED:
            self._succeeded(trial, result)
        elif result.state is TrialState.FAILED:
            self.failed += 1
            self.failure_reasons[result.reason] = self.failure_reasons.get(result.reason, 0) + 1
            self.last_failed = trial
            if self.reached is None and self.failed > self.spec.limits.failures:
                self.reached = Reached(TOO_MANY_FAILURES, trial)
        else:
            self._stopped(trial, result)

    def spend(self, trial: Trial) -> None:
        """What a trial cost so far, with or without a result."""
        self.accelerator_seconds += trial.accelerator_seconds
        started = trial.started_at
        if started is not None and (self.started_at is None or started < self.started_at):
            self.started_at = started

    def _succeeded(self, trial: Trial, result: Result) -> None:
        self.succeeded += 1
        self.proven = True
        self.since_best += 1
        if not result.infeasible:
            if self.leaders.offer(trial, result.values):
                self.since_best = 0
            if self._targets and self.reached is None and reached_targets(self.spec.objectives, result.values):
                self.reached = Reached(TARGET_REACHED, trial)
        if self.reached is None:
            self.reached = self._tired(trial) or self._unpromising(trial)

    def _stopped(self, trial: Trial, result: Result) -> None:
        """What it reached at its last rung counts, as long as nobody came further."""
        self.stopped += 1
        self.stop_reasons.add(result.reason)
        if trial.rungs:
            # What the end itself brought about must not become another end.
            self.since_best += result.reason != NOT_PROMOTED
            self.stands(trial, result.metrics)
            if self.reached is None and result.reason != NOT_PROMOTED:
                self.reached = self._tired(trial)

    def stands(self, trial: Trial, metrics: Mapping[str, float]) -> None:
        """A trial that did not end by itself stands at its last rung."""
        rung = trial.rungs[-1]
        broken = broken_constraints(self.spec.constraints, metrics)
        if not rung.infeasible and not broken and self.leaders.offer(trial, rung.values, budget=rung.budget):
            self.since_best = 0

    def _tired(self, trial: Trial) -> Reached | None:
        patience = self.spec.limits.patience
        tired = patience is not None and self.since_best >= patience
        return Reached(PATIENCE_EXHAUSTED, trial) if tired else None

    def _unpromising(self, trial: Trial) -> Reached | None:
        """Whether all of the last trials had promised less than an hour is worth, by what trials cost on average."""
        worth = self.spec.limits.min_improvement
        if worth is None:
            return None
        self._expected.append(trial.suggestion.expected)
        self._seconds += _cost(trial, self.spec)
        hours = self._seconds / self.succeeded / 3600
        promised = [each for each in self._expected if each is not None]
        enough = len(promised) == self._expected.maxlen
        return Reached(NOT_WORTHWHILE, trial) if enough and hours > 0 and max(promised) / hours < worth else None


def _cost(trial: Trial, spec: StudySpec) -> float:
    """Accelerator seconds; without accelerators, seconds."""
    if spec.trial.accelerator.count:
        return trial.accelerator_seconds
    return 0.0 if trial.started_at is None or trial.ended_at is None else trial.ended_at - trial.started_at


def by_end(trials: Iterable[Trial]) -> list[Trial]:
    """Stable: trials that ended at the same moment stay in the order of their numbers."""
    return sorted(trials, key=_end)


def _end(trial: Trial) -> float:
    return trial.ended_at or 0.0
