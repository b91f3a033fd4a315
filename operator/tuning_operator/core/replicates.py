"""A trial that is trained several times, one run after the other: its value is the mean, with its standard error.

The rest is left out where it cannot matter any more: if even the mean and two standard errors on the good side stay
behind the best trial's mean. How much runs differ is pooled over all trials of the study, since two or three values
alone say little about their spread; so even one run may be enough, once others have shown how far apart runs are.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Replicate, Result, Trial
from tuning_operator.core.objectives import broken_constraints

CLEARLY_WORSE: Final = "ClearlyWorse"
_ERRORS: Final = 2.0
_FREEDOM: Final = 2
"""Degrees of freedom from which on the pooled spread is believed."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a trial has to reach: the best mean so far, and how far apart runs of the same parameters are."""

    best: float
    squares: float
    """Sum of squared distances from their trial's mean, over all recorded trials."""
    freedom: int


def wanted(spec: StudySpec, trial: Trial) -> int:
    """How often the trial is trained. Further runs of the best and the final run are trained once."""
    return _count(spec) if trial.role is Role.SEARCH else 1


def bar(spec: StudySpec, trials: Iterable[Trial]) -> Bar | None:
    """None where nothing is left out: it was not asked for, there is no best yet, or there are several objectives (a
    trial that is worse in one may be on the front by another).
    """
    replicates = spec.trial.replicates
    if replicates is None or not replicates.give_up or len(spec.objectives) > 1:
        return None
    objective = spec.objectives[0]
    best: float | None = None
    squares, freedom = 0.0, 0
    for trial in trials:
        if trial.role is not Role.SEARCH or trial.result is None or trial.result.state is not TrialState.SUCCEEDED:
            continue
        mean = trial.result.values.get(objective.metric)
        if mean is None:
            continue
        values = _values(trial.replicates, objective.metric)
        if len(values) > 1:
            squares += _squares(values)
            freedom += len(values) - 1
        if not trial.result.infeasible and (best is None or _ahead(objective.goal, mean, best)):
            best = mean
    return None if best is None else Bar(best, squares, freedom)


def clearly_worse(spec: StudySpec, runs: Sequence[Replicate], bar: Bar | None) -> str | None:
    """Why the rest of a trial's runs can be left out, in one sentence; None if they are worth their time."""
    if bar is None:
        return None
    objective = spec.objectives[0]
    values = _values(runs, objective.metric)
    freedom = bar.freedom + len(values) - 1
    if not values or freedom < _FREEDOM:
        return None
    mean = math.fsum(values) / len(values)
    error = math.sqrt((bar.squares + _squares(values)) / freedom / len(values))
    hoped = mean + _ERRORS * error * (1.0 if objective.goal is Goal.MAXIMIZE else -1.0)
    if not _ahead(objective.goal, bar.best, hoped):
        return None
    return (
        f"{len(values)} of {_count(spec)} replicates: even {objective.metric} {hoped:.6g} (the mean and two "
        f"standard errors) would stay behind the best, {bar.best:.6g} (trial.replicates.giveUp)"
    )


def mean_of(spec: StudySpec, runs: Sequence[Replicate], last: Result, *, left_out: str | None) -> Result:
    """The trial's result: means with their standard errors; the constraints are held against the mean metrics."""
    values, errors = _means([run.values for run in runs])
    metrics, _ = _means([run.metrics for run in runs])
    broken = broken_constraints(spec.constraints, metrics)
    reason, message = last.reason, f"mean of {len(runs)} replicates"
    if broken:
        reason, message = "ConstraintViolated", "; ".join(broken)
    elif left_out is not None:
        reason, message = CLEARLY_WORSE, left_out
    elif last.reason == "ConstraintViolated":
        reason = "Completed"  # by itself; the mean keeps them
    return Result(
        state=TrialState.SUCCEEDED,
        reason=reason,
        message=message[:1024],
        values=values,
        metrics=metrics,
        errors=errors,
        infeasible=bool(broken),
        step=last.step,
        artifacts=last.artifacts,
    )


def _count(spec: StudySpec) -> int:
    return 1 if spec.trial.replicates is None else spec.trial.replicates.count


def _means(each: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    means: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name in dict.fromkeys(name for numbers in each for name in numbers):
        seen = [numbers[name] for numbers in each if name in numbers]
        means[name] = math.fsum(seen) / len(seen)
        if len(seen) > 1:
            errors[name] = math.sqrt(_squares(seen) / (len(seen) - 1) / len(seen))
    return means, errors


def _values(runs: Sequence[Replicate], metric: str) -> list[float]:
    return [run.values[metric] for run in runs if metric in run.values]


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _ahead(goal: Goal, value: float, other: float) -> bool:
    return value > other if goal is Goal.MAXIMIZE else value < other
