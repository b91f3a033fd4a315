"""When the search is over, and how much may still be started.

Each end is a function of the ledger, the limits and the time alone, and stays what it was: the trials that end
after it, or are stopped by it, do not change it. Only an edit of the limits does, and only as long as there is no
final run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.core.tally import NOT_WORTHWHILE, TARGET_REACHED, TOO_MANY_FAILURES, Reached, Tally
from tuning_operator.core.times import seconds

DURATION_REACHED: Final = "DurationReached"
ACCELERATOR_HOURS_REACHED: Final = "AcceleratorHoursReached"
TRIALS_COMPLETED: Final = "TrialsCompleted"
SPACE_EXHAUSTED: Final = "SpaceExhausted"
SEARCH_CLOSED: Final = "SearchClosed"
DRAINED: Final = frozenset({TRIALS_COMPLETED, SPACE_EXHAUSTED, SEARCH_CLOSED})
"""Ends at which nothing was left to do."""
_SIGNS: Final = {Goal.MAXIMIZE: ">=", Goal.MINIMIZE: "<="}


@dataclass(frozen=True, slots=True)
class End:
    """Why the search is over."""

    reason: str
    message: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """How far the search is, next to what the ledger's fold says."""

    total: int
    """Trials created."""
    unfinished: int
    """Trials without a result; of paused ones those alone that may still go on."""
    live_seconds: float
    """Accelerator seconds of the attempts that run now."""
    full: bool
    """No more may be created."""
    exhausted: bool
    """Every point of the space was tried, and nothing is under way."""
    closed: bool
    """A final run or a further run of the best trials exists."""

    @property
    def complete(self) -> bool:
        """No trial will be added."""
        return self.full or self.exhausted or self.closed


def search_end(spec: StudySpec, tally: Tally, search: Search, *, now: float) -> End | None:
    if tally.reached is not None:
        return _reached(spec, tally, tally.reached)
    limits = spec.limits
    drained = search.unfinished == 0 and (search.full or search.exhausted or search.closed)
    spent = tally.accelerator_seconds + search.live_seconds
    all_spent = (
        limits.accelerator_hours is not None
        and (not drained or ACCELERATOR_HOURS_REACHED in tally.stop_reasons)
        and spent >= limits.accelerator_hours * 3600
    )
    # Once nothing is left to do, time stands still: a study that ended by its trials, or by what they cost, never
    # becomes one that ended by its duration.
    at = tally.last_end if drained or (all_spent and search.unfinished == 0) else now
    if (
        limits.duration is not None
        and tally.started_at is not None
        and at - tally.started_at >= seconds(limits.duration)
    ):
        return End(DURATION_REACHED, f"{limits.duration} have passed since the first trial started (limits.duration)")
    if all_spent:
        message = f"{limits.accelerator_hours:g} accelerator hours are spent (limits.acceleratorHours)"
        return End(ACCELERATOR_HOURS_REACHED, message)
    if not drained:
        return None
    if search.full:
        return End(TRIALS_COMPLETED, f"all {search.total} trials ended (limits.trials)")
    if search.exhausted:
        points = "every point that is not forbidden" if spec.forbidden else "every point of the space"
        return End(SPACE_EXHAUSTED, f"{points} was tried, in {search.total} trials")
    return End(SEARCH_CLOSED, "further runs of the best exist; later edits of the limits do not reopen the search")


def room(spec: StudySpec, total: int) -> int | None:
    """How many trials may still be created; None: as many as there are points."""
    return None if spec.limits.trials is None else max(0, spec.limits.trials - total)


def next_limit(spec: StudySpec, tally: Tally, *, now: float, spending: float, live_seconds: float) -> float | None:
    """When the next limit of time is reached, if nothing else happens. `spending`: accelerators in use."""
    limits = spec.limits
    times = []
    if limits.duration is not None and tally.started_at is not None:
        times.append(tally.started_at + seconds(limits.duration))
    if limits.accelerator_hours is not None and spending > 0:
        left = limits.accelerator_hours * 3600 - tally.accelerator_seconds - live_seconds
        times.append(now + max(0.0, left) / spending)
    return min(times, default=None)


def _reached(spec: StudySpec, tally: Tally, reached: Reached) -> End:
    trial = reached.trial
    if reached.reason == TARGET_REACHED and trial.result is not None:
        said = ", ".join(
            f"{o.metric} {trial.result.values[o.metric]:.6g} (target {_SIGNS[o.goal]} {o.target:g})"
            for o in spec.objectives
            if o.target is not None and o.metric in trial.result.values
        )
        return End(reached.reason, f"trial {trial.number} reached {said}")
    if reached.reason == TOO_MANY_FAILURES:
        return End(reached.reason, failures_message(spec, tally), failed=True)
    if reached.reason == NOT_WORTHWHILE:
        unit = "accelerator hour" if spec.trial.accelerator.count else "hour"
        message = (
            f"the model expects less than {spec.limits.min_improvement:g} better {spec.objectives[0].metric} from one "
            f"more {unit} (limits.minImprovement)"
        )
        return End(reached.reason, message)
    return End(reached.reason, f"{spec.limits.patience} trials in a row brought no better best (limits.patience)")


def failures_message(spec: StudySpec, tally: Tally) -> str:
    """How many failed, of what, and the last one's own words."""
    reasons = sorted(tally.failure_reasons.items(), key=lambda item: (-item[1], item[0]))
    text = f"{tally.failed} trials failed, {spec.limits.failures} are allowed (limits.failures): {_listed(reasons)}"
    last = tally.last_failed
    if last is not None and last.result is not None:
        text += f". Last: trial {last.number}: {last.result.message or last.result.reason}"
    return text


def _listed(reasons: Sequence[tuple[str, int]]) -> str:
    if len(reasons) == 1:
        return f"all with {reasons[0][0]}"
    return ", ".join(f"{count} with {reason}" for reason, count in reasons[:5])
