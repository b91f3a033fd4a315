"""The plots of a report: Optuna's own, from a throw-away Optuna study that holds the recorded trials."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tuning_operator.api.parameters import Parameter, Scale
from tuning_operator.api.study import Goal
from tuning_operator.cli.report.data import ReportData, TrialData

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

COLORS = ("#2563eb", "#f97316", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#db2777")
STATES = {
    "COMPLETE": ("Succeeded", "#16a34a"),
    "FAIL": ("Failed", "#dc2626"),
    "PRUNED": ("Stopped", "#ca8a04"),
    "RUNNING": ("Running", "#2563eb"),
}
"""Optuna's words for states, in ours, and their colours."""
A_ROW = 4
"""Parameters drawn side by side."""
FEWEST = 2
"""Successful trials below which there is nothing to draw."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot. Without a title it belongs to the one before it."""

    title: str
    says: str
    """One line on how to read it."""
    height: int
    """Pixels."""
    json: str


def figures(data: ReportData) -> list[Figure]:
    """What can be drawn from these trials; a plot that needs more than there is is left out."""
    if sum(_complete(trial, data) for trial in data.trials) < FEWEST:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks parts of its plots as experimental
        drawn = [_draw(plot) for plot in _plots(_study(data), data)]
    return [figure for figure in drawn if figure is not None]


@dataclass(frozen=True, slots=True)
class _Plot:
    title: str
    says: str
    make: "Callable[[], go.Figure]"
    height: int = 360


def _plots(study: "optuna.Study", data: ReportData) -> list[_Plot]:
    from optuna import visualization as v

    metrics = [objective.metric for objective in data.objectives]
    several = len(metrics) > 1
    target: Callable[[Any], float] | None = (lambda t: t.values[0]) if several else None
    common = {"target": target, "target_name": metrics[0]}
    used = [p.name for p in data.space if any(p.name in trial.parameters for trial in data.trials)]
    plots = [
        _Plot("History", "Each dot is a trial, the line is the best so far.",
              partial(v.plot_optimization_history, study, **common)),
        _Plot("Importances", "How much of the differences between good trials each parameter explains (PED-ANOVA).",
              partial(v.plot_param_importances, study, **common), height=110 + 30 * len(used)),
        _Plot("Parallel coordinates", "Each line is a trial, the darker the better; drag along an axis to choose.",
              partial(v.plot_parallel_coordinate, study, **common)),
    ]  # fmt: skip
    for first in range(0, len(used), A_ROW):
        says = "The objective over each parameter; darker is later." if first == 0 else ""
        row = used[first : first + A_ROW]
        plots.append(
            _Plot("Slices" if first == 0 else "", says, partial(v.plot_slice, study, params=row, **common), 300)
        )
    plots.append(_Plot("Timeline", "When each trial ran and how it ended.", partial(v.plot_timeline, study)))
    if several:
        says = "No red trial is beaten by another in every objective."
        plots.insert(0, _Plot("Pareto front", says, partial(v.plot_pareto_front, study, target_names=metrics)))
    return plots


def _draw(plot: _Plot) -> Figure | None:
    try:
        figure = plot.make()
    except (ValueError, RuntimeError) as error:
        logging.getLogger(__name__).debug("no plot %s: %s", plot.title, error)
        return None
    if not figure.data:
        return None
    _dress(figure, plot.height)
    return Figure(plot.title, plot.says, plot.height, figure.to_json())


def _dress(figure: "go.Figure", height: int) -> None:
    """Optuna's plots in the page's clothes."""
    figure.update_layout(
        template="plotly_white",
        title=None,
        colorway=COLORS,
        autosize=True,
        width=None,
        height=height,
        margin={"l": 60, "r": 30, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#334155"},
        legend={"orientation": "h", "y": 1.12, "x": 0},
    )
    for axis in figure.select_xaxes(lambda axis: axis.type == "log"):
        axis.update(dtick=1, exponentformat="power")
    for trace in figure.data:
        if trace.name in STATES:
            trace.name, trace.marker.color = STATES[trace.name]


def _study(data: ReportData) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = ["maximize" if objective.goal is Goal.MAXIMIZE else "minimize" for objective in data.objectives]
    study = optuna.create_study(directions=directions)
    space = {parameter.name: distribution(parameter) for parameter in data.space}
    study.add_trials([_trial(trial, data, space) for trial in data.trials if trial.start is not None])
    return study


def distribution(parameter: Parameter) -> Any:
    from optuna import distributions as d

    if parameter.float_ is not None:
        numbers = parameter.float_
        return d.FloatDistribution(numbers.min, numbers.max, log=numbers.scale is Scale.LOG, step=numbers.step)
    if parameter.int_ is not None:
        whole = parameter.int_
        return d.IntDistribution(whole.min, whole.max, log=whole.scale is Scale.LOG, step=whole.step or 1)
    return d.CategoricalDistribution(parameter.choice or ())


def _trial(trial: TrialData, data: ReportData, space: dict[str, Any]) -> "optuna.trial.FrozenTrial":
    from optuna.trial import TrialState, create_trial

    complete = _complete(trial, data)
    if complete:
        state = TrialState.COMPLETE
    elif trial.state in ("Pending", "Running"):
        state = TrialState.RUNNING
    else:
        state = TrialState.PRUNED if trial.state == "Stopped" else TrialState.FAIL
    frozen = create_trial(
        state=state,
        params=dict(trial.parameters),
        distributions={name: space[name] for name in trial.parameters},
        values=[trial.values[objective.metric] for objective in data.objectives] if complete else None,
    )
    frozen.number = trial.number
    frozen.datetime_start = trial.start
    frozen.datetime_complete = trial.end
    return frozen


def _complete(trial: TrialData, data: ReportData) -> bool:
    return trial.state == "Succeeded" and all(objective.metric in trial.values for objective in data.objectives)
