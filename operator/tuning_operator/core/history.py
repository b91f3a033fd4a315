"""The ledger as the search is told it."""

from collections import Counter
from dataclasses import dataclass

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Snapshot, Trial
from tuning_operator.core.rungs import NOT_PROMOTED, UNPROMISING, ladder
from tuning_operator.search.compiling import space_of
from tuning_operator.search.constraints import violation
from tuning_operator.search.types import Observation, Parameters

UNTOLD = frozenset({"TooManyDisruptions"})
"""Failures that say nothing about the parameters."""
_LOSERS = frozenset({UNPROMISING, NOT_PROMOTED})
"""Reasons of stops that are a verdict on the parameters; other stopped points may come again."""
_LEAST = 8
"""Values that a rung must have before the search learns from it, and not from a lower one."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the search knows: results, and the parameters of the trials that have none yet, by number."""

    history: tuple[Observation, ...]
    running: dict[int, Parameters]


def told(snapshot: Snapshot, *, memo: Memo | None = None) -> Told:
    """Results of earlier studies first, then the trials of this search by number.

    With rungs, every trial's value is that of one rung, the highest that enough trials have reached: values of
    different budgets cannot be compared. A trial that stands there counts as known, though it may run on. Earlier
    results are values of the full budget. `memo` makes it cheaper and never different.
    """
    spec = snapshot.study.spec
    metrics = [objective.metric for objective in spec.objectives]
    level = _level(spec, snapshot)
    full = level is None or spec.fidelity is None or level == spec.fidelity.max
    history = [each for each in snapshot.earlier if full or each.infeasible]
    running: dict[int, Parameters] = {}
    search = [trial for trial in snapshot.trials if trial.role is Role.SEARCH]
    kept = (memo or Memo()).of(spec).observations(level)
    observations = kept.of(search, lambda trial: _observation(trial, spec, metrics, level))
    for trial, observation in zip(search, observations, strict=True):
        if observation is not None:
            history.append(observation)
        elif trial.result is None:
            running[trial.number] = trial.suggestion.parameters
    return Told(tuple(history), running)


def nothing_left(snapshot: Snapshot) -> bool:
    """Whether every point of the space was tried. The ledger itself says so where the space can be counted: what the
    search said last may be older than a trial that was lost, and an operator that starts anew has not asked it yet."""
    try:
        space = space_of(snapshot.study.spec)
    except ValueError:
        return False
    if space.size is None or snapshot.study.spec.scheduler.name is SchedulerName.PBT:
        return snapshot.exhausted  # with PBT points come again, and the search knows when every member is done
    if len(snapshot.trials) < space.size:
        return False
    tried = {space.key(trial.suggestion.parameters) for trial in snapshot.trials if _tried(trial)}
    return len(tried - {None}) >= space.size


def _tried(trial: Trial) -> bool:
    """Whether its point need not come again."""
    if trial.role is not Role.SEARCH:
        return False
    result = trial.result
    if result is None:
        return trial.recorded_state is TrialState.PAUSED
    return result.reason not in UNTOLD and (result.state is not TrialState.STOPPED or result.reason in _LOSERS)


def _level(spec: StudySpec, snapshot: Snapshot) -> int | None:
    """The budget whose values the search learns from; None where all trials train to their end."""
    trials = snapshot.trials
    if spec.fidelity is None or ladder(spec, trials) is None:
        return None
    reached = Counter(
        rung.budget
        for trial in trials
        if trial.rungs and trial.role is Role.SEARCH
        for rung in trial.rungs
        if not rung.infeasible
    )
    reached[spec.fidelity.max] += sum(each.values is not None for each in snapshot.earlier)
    least = max(_LEAST, len(spec.parameters) + 1)
    return max((budget for budget, count in reached.items() if count >= least), default=min(+reached, default=0))


def _observation(trial: Trial, spec: StudySpec, metrics: list[str], level: int | None) -> Observation | None:
    """None for a trial of which nothing is known yet, or that says nothing about its point."""
    result = trial.result
    found = None if result is None or result.state is not TrialState.SUCCEEDED else result.values
    infeasible = result is not None and result.infeasible
    if level is not None:
        rung = next((rung for rung in trial.rungs if rung.budget == level), None)
        found = None if rung is None else rung.values
        infeasible = infeasible or any(rung.infeasible for rung in trial.rungs)
    values = None
    if found is not None and all(metric in found for metric in metrics):
        values = tuple([found[metric] for metric in metrics])
    if not _tried(trial) and (values is None or (result is not None and result.reason in UNTOLD)):
        return None
    broken = 0.0
    if spec.constraints and result is not None and result.state is TrialState.SUCCEEDED:
        broken = violation(spec.constraints, result.metrics)
    suggestion = trial.suggestion
    return Observation(
        trial.number, suggestion.parameters, values, infeasible, violation=broken, generation=suggestion.generation
    )
