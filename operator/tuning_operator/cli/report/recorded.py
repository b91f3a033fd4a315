"""The recorded trials as a throw-away Optuna study, for Optuna's own plots and importances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tuning_operator.api.parameters import Parameter, Scale
from tuning_operator.api.study import Goal
from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.history import spread

if TYPE_CHECKING:
    import optuna

MOST = 1000
"""Trials that are drawn: the best ones, and others evenly spread."""
MOST_BEST = 200
ENOUGH = (20, 8)
"""Complete trials, or else a rung is looked at that so many reached; first with the larger number."""


def compared(data: ReportData) -> tuple[ReportData, str]:
    """The trials with the values by which most can be learned of the parameters, and what they are, in a sentence.

    Where few were trained to the end that is the highest rung that enough trials reached; values of different rungs are
    never mixed.
    """
    budgets = sorted({rung.budget for trial in data.trials for rung in trial.rungs}, reverse=True)
    for least in ENOUGH:
        if len(data.complete) >= least:
            return data, ""
        for budget in budgets:
            there = [_at(trial, budget) for trial in data.trials]
            found = replace(data, trials=[trial for trial in there if trial is not None])
            if len(found.complete) >= least:
                return found, f" Values are those at step {budget}, which {len(found.complete)} trials reached."
    return data, ""


def _at(trial: TrialData, budget: int) -> TrialData | None:
    values = next((rung.values for rung in trial.rungs if rung.budget == budget), None)
    return None if values is None else replace(trial, state="Succeeded", values=values, errors={}, violation=0.0)


def recorded(data: ReportData) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = ["maximize" if objective.goal is Goal.MAXIMIZE else "minimize" for objective in data.objectives]
    study = optuna.create_study(directions=directions)
    space = distributions(data.space)
    study.add_trials([_trial(trial, data, space) for trial in drawn(data) if trial.start is not None])
    return study


def drawn(data: ReportData) -> Sequence[TrialData]:
    if len(data.trials) <= MOST:
        return data.trials
    best = sorted(data.complete, key=lambda trial: (trial.violation, data.losses(trial)))[:MOST_BEST]
    chosen = {trial.number: trial for trial in [*best, *spread(data.trials, MOST - len(best))]}
    return [chosen[number] for number in sorted(chosen)]


def active_everywhere(data: ReportData) -> list[str]:
    """Parameters that every complete trial has, with more than one value, in the order of the study."""
    names = []
    for parameter in data.space:
        if parameter.name in distributions([parameter]):
            values = [trial.parameters.get(parameter.name) for trial in data.complete]
            if None not in values and len({repr(value) for value in values}) > 1:
                names.append(parameter.name)
    return names


def distributions(space: Sequence[Parameter]) -> dict[str, Any]:
    """Of the parameters that are searched. Steps make no difference to a plot."""
    found = {}
    for parameter in space:
        distribution = _distribution(parameter)
        if distribution is not None:
            found[parameter.name] = distribution
    return found


def _distribution(parameter: Parameter) -> Any:
    from optuna import distributions as d

    if parameter.float_ is not None:
        numbers = parameter.float_
        return d.FloatDistribution(numbers.min, numbers.max, log=numbers.scale is Scale.LOG)
    if parameter.int_ is not None:
        whole = parameter.int_
        return d.IntDistribution(whole.min, whole.max, log=whole.scale is Scale.LOG)
    values = parameter.choice or parameter.ordinal
    return d.CategoricalDistribution(values) if values else None


def _trial(trial: TrialData, data: ReportData, space: Mapping[str, Any]) -> "optuna.trial.FrozenTrial":
    from optuna.trial import TrialState, create_trial

    losses = data.losses(trial) if trial.state == "Succeeded" else None
    if losses is not None:
        state = TrialState.COMPLETE
    elif trial.state in ("Pending", "Running"):
        state = TrialState.RUNNING
    else:
        state = TrialState.PRUNED if trial.state in ("Stopped", "Paused") else TrialState.FAIL
    known = {name: value for name, value in trial.parameters.items() if _holds(space.get(name), value)}
    frozen = create_trial(
        state=state,
        params=known,
        distributions={name: space[name] for name in known},
        values=None if losses is None else [trial.values[objective.metric] for objective in data.objectives],
    )
    frozen.number = trial.number
    frozen.datetime_start = _of_this_machine(trial.start)
    frozen.datetime_complete = _of_this_machine(trial.end)
    return frozen


def _of_this_machine(time: datetime | None) -> datetime | None:
    """Optuna's plots compare with a clock that knows no time zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)


def _holds(distribution: Any, value: Any) -> bool:
    """A study that was edited by hand may hold other values; no report fails by one."""
    if distribution is None:
        return False
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
