"""The ledger as the search is told it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.memo import Memo, Values
from tuning_operator.core.model import Snapshot, Trial
from tuning_operator.core.rungs import NOT_PROMOTED, UNPROMISING, ladder
from tuning_operator.search.compiling import space_of
from tuning_operator.search.constraints import violation
from tuning_operator.search.extrapolation import extrapolated
from tuning_operator.search.types import Observation, Parameters

UNTOLD = frozenset({"TooManyDisruptions"})
"""Failures that say nothing about the parameters."""
_LOSERS = frozenset({UNPROMISING, NOT_PROMOTED})
"""Reasons of stops that are a verdict on the parameters; other stopped points may come again."""
_LEAST = 8
"""Earlier results from which on the search learns from them alone, until a trial has the full budget, too."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the search knows: results, and the parameters of the trials that have none yet, by number."""

    history: tuple[Observation, ...]
    running: dict[int, Parameters]


def told(snapshot: Snapshot, *, memo: Memo | None = None) -> Told:
    """Results of earlier studies first, then the trials of this search by number.

    With rungs, every trial's value is that of the highest rung that anybody has reached: its own, or the one expected
    from what it had lower down. A trial that has a value counts as known, though it may run on. Earlier results are
    values of the full budget. `memo` makes it cheaper and never different.
    """
    spec = snapshot.study.spec
    metrics = [objective.metric for objective in spec.objectives]
    search = [trial for trial in snapshot.trials if trial.role is Role.SEARCH]
    memo = (memo or Memo()).of(spec)
    if ladder(spec, search) is None:
        values, comparable = memo.achieved.of(search, lambda trial: _achieved(trial, metrics)), True
    else:
        values, comparable = _at_rungs(snapshot, search, metrics, memo)
    history = [each for each in snapshot.earlier if comparable or each.infeasible]
    running: dict[int, Parameters] = {}
    observations = memo.observations.given(search, values, lambda trial, each: _observation(trial, spec, each))
    for trial, observation in zip(search, observations, strict=True):
        if observation is not None:
            history.append(observation)
        elif trial.result is None:
            running[trial.number] = trial.suggestion.parameters
    return Told(tuple(history), running)


def nothing_left(snapshot: Snapshot, *, memo: Memo | None = None) -> bool:
    """Whether every point of the space was tried. The ledger itself says so where the space can be counted: what the
    search said last may be older than a trial that was lost, and an operator that starts anew has not asked it yet.
    The points are those of this study that the search is told, as it proposes none of them again."""
    try:
        space = space_of(snapshot.study.spec)
    except ValueError:
        return False
    if space.size is None or snapshot.study.spec.scheduler.name is SchedulerName.PBT:
        return snapshot.exhausted  # with PBT points come again, and the search knows when every member is done
    if len(snapshot.trials) < space.size:
        return False
    tried = {space.key(each.parameters) for each in told(snapshot, memo=memo).history if each.number >= 0}
    return len(tried - {None}) >= space.size


def _tried(trial: Trial) -> bool:
    """Whether its point need not come again."""
    if trial.role is not Role.SEARCH:
        return False
    result = trial.result
    if result is None:
        return trial.recorded_state is TrialState.PAUSED
    return result.reason not in UNTOLD and (result.state is not TrialState.STOPPED or result.reason in _LOSERS)


def _achieved(trial: Trial, metrics: Sequence[str]) -> Values:
    found = {} if trial.result is None or trial.result.state is not TrialState.SUCCEEDED else trial.result.values
    return tuple([found[metric] for metric in metrics]) if all(metric in found for metric in metrics) else None


def _at_rungs(
    snapshot: Snapshot, trials: Sequence[Trial], metrics: Sequence[str], memo: Memo
) -> tuple[list[Values], bool]:
    """Values at the highest rung, and whether earlier results can be compared with them. Until a trial of this study
    has the full budget nothing says how: the search learns from the earlier ones where there are many, else from its
    own.
    """
    spec = snapshot.study.spec
    full = spec.fidelity is not None and any(t.rungs and t.rungs[-1].budget == spec.fidelity.max for t in trials)
    least = max(_LEAST, len(spec.parameters) + 1)
    if not full and sum(each.values is not None for each in snapshot.earlier) >= least:
        return [None] * len(trials), True
    # A rung that has a value has one of each objective; each is taken for itself.
    curves = memo.curves.of(trials, lambda trial: tuple([_curve(trial, metric) for metric in metrics]))
    columns = [extrapolated(column) for column in zip(*curves, strict=True)]
    rows = zip(*columns, strict=True)
    return [None if None in row else tuple([value for value in row if value is not None]) for row in rows], full


def _curve(trial: Trial, metric: str) -> Mapping[int, float]:
    return {rung.budget: rung.values[metric] for rung in trial.rungs if metric in rung.values}


def _observation(trial: Trial, spec: StudySpec, values: Values) -> Observation | None:
    """None for a trial of which nothing is known yet, or that says nothing about its point."""
    result = trial.result
    infeasible = (result is not None and result.infeasible) or any(rung.infeasible for rung in trial.rungs)
    if not _tried(trial) and (values is None or (result is not None and result.reason in UNTOLD)):
        return None
    broken = 0.0
    if spec.constraints and result is not None and result.state is TrialState.SUCCEEDED:
        broken = violation(spec.constraints, result.metrics)
    suggestion = trial.suggestion
    return Observation(
        trial.number, suggestion.parameters, values, infeasible, violation=broken, generation=suggestion.generation
    )
