"""The ledger as the search is told it."""

from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Snapshot
from tuning_operator.search.space import compile_space
from tuning_operator.search.types import Observation, Parameters

UNTOLD = frozenset({"TooManyDisruptions"})
"""Failures that say nothing about the parameters."""


def observations(snapshot: Snapshot) -> tuple[Observation, ...]:
    """Results of earlier studies, then recorded trials by number. Stopped ones, and those lost without their fault, are
    not told: their points may come again.
    """
    metrics = [objective.metric for objective in snapshot.study.spec.objectives]
    told = [*snapshot.earlier]
    for trial in snapshot.trials:
        result = trial.result
        if (
            result is None
            or trial.role is not Role.SEARCH
            or result.state is TrialState.STOPPED
            or result.reason in UNTOLD
        ):
            continue
        values = None
        if result.state is TrialState.SUCCEEDED and all(metric in result.values for metric in metrics):
            values = tuple(result.values[metric] for metric in metrics)
        told.append(Observation(trial.number, trial.suggestion.parameters, values, result.infeasible))
    return tuple(told)


def nothing_left(snapshot: Snapshot) -> bool:
    """Whether every point of the space was tried. The ledger itself says so where the space can be counted: what the
    search said last may be older than a trial that was lost, and an operator that starts anew has not asked it yet."""
    try:
        space = compile_space(snapshot.study.spec.parameters)
    except ValueError:
        return False
    if space.size is None:
        return snapshot.exhausted
    if len(snapshot.trials) < space.size:
        return False
    tried = {space.key(observation.parameters) for observation in observations(snapshot) if observation.number >= 0}
    return len(tried - {None}) >= space.size


def running(snapshot: Snapshot) -> dict[int, Parameters]:
    """Parameters of the trials that have no result yet, by number."""
    return {
        trial.number: trial.suggestion.parameters
        for trial in snapshot.trials
        if trial.result is None and trial.role is Role.SEARCH
    }
