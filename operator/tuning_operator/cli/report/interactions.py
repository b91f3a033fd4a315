"""Which parameters matter together.

A random forest learns the objective; its answers are averaged over a uniform sample of the space for every value of one
parameter, and of two. What two explain beyond the sum of each alone is their interaction: the second-order terms of
functional ANOVA (Hutter et al., 2014).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tuning_operator.api.parameters import Parameter, Scale
from tuning_operator.api.study import Goal, Objective
from tuning_operator.cli import words
from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.drawing import Plot
from tuning_operator.cli.report.history import spread
from tuning_operator.cli.report.importance import FEWEST, MOST_TRIALS
from tuning_operator.cli.report.recorded import active_everywhere
from tuning_operator.search.dimension import Dimension, dimension

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_PARAMETERS = 8
"""Of which pairs are looked at."""
MOST_PAIRS = 3
"""Pairs that are drawn."""
GRID, SAMPLE = 9, 160
"""Values of a parameter, and points of the space over which is averaged."""
LEAST_SHARE = 0.01
"""Of the variance, below which a pair is no interaction."""


def strongest_pairs(data: ReportData, which: str) -> list[Plot]:
    metric = data.objectives[0].metric
    says = (
        "Pairs that together explain more than each alone, strongest first, with their share of the variance. The "
        f"colour is what a random forest expects of {metric}; dots are trials.{which}"
    )
    return [Plot("Interactions", says, lambda: _contours(data), 380)]


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two parameters, and what the forest expects over a grid of both."""

    names: tuple[str, str]
    share: float
    """Of the variance that both explain together beyond each alone."""
    values: tuple[Sequence[Any], Sequence[Any]]
    expected: Sequence[Sequence[float]]
    """By value of the second, then of the first."""


def interactions(data: ReportData, objective: Objective, names: Sequence[str]) -> list[Interaction]:
    """Pairs of these parameters, the strongest first. Empty without scikit-learn."""
    try:
        import numpy as np
        from sklearn.ensemble import RandomForestRegressor
    except ImportError:
        return []
    axes = _axes(data, names)
    trials = [trial for trial in spread(data.complete, MOST_TRIALS) if _inside(trial, axes)]
    if len(trials) < FEWEST or len(names) < 2:
        return []
    units = np.array([[_unit(axes[name], trial.parameters[name]) for name in names] for trial in trials])
    forest = RandomForestRegressor(n_estimators=48, min_samples_leaf=2, max_depth=10, random_state=0, n_jobs=1)
    forest.fit(units, np.array([trial.values[objective.metric] for trial in trials]))
    generator = random.Random(0)
    points = [[generator.random() for _ in names] for _ in range(SAMPLE)]
    sample = np.array([[_snapped(axes[name], unit) for name, unit in zip(names, p, strict=True)] for p in points])
    total = float(np.var(forest.predict(sample)))
    if total <= 0:
        return []
    grids = [_grid(axes[name]) for name in names]

    def averaged(*fixed: tuple[int, Sequence[float]]) -> Any:
        """Expectation over the sample for each combination of the given values of the given axes."""
        mesh = np.array(np.meshgrid(*(values for _, values in fixed), indexing="ij")).reshape(len(fixed), -1).T
        rows = np.repeat(sample[None, :, :], len(mesh), axis=0)
        for place, (axis, _) in enumerate(fixed):
            rows[:, :, axis] = mesh[:, place, None]
        expected = forest.predict(rows.reshape(-1, len(names))).reshape(len(mesh), SAMPLE).mean(axis=1)
        return expected.reshape([len(values) for _, values in fixed])

    found = []
    for one, other in combinations(range(len(names)), 2):
        both = averaged((one, grids[one]), (other, grids[other]))
        mean = both.mean()
        alone = both.mean(axis=1, keepdims=True) + both.mean(axis=0, keepdims=True) - mean
        share = float(np.var(both - alone)) / total
        values = tuple([_value(axes[names[axis]], unit) for unit in grids[axis]] for axis in (one, other))
        found.append(Interaction((names[one], names[other]), share, (values[0], values[1]), both.T.tolist()))
    return sorted(found, key=lambda each: -each.share)


def _contours(data: ReportData) -> "go.Figure | None":
    from plotly.subplots import make_subplots

    objective = data.objectives[0]
    found = interactions(data, objective, active_everywhere(data)[:MOST_PARAMETERS])
    shown = [each for each in found[:MOST_PAIRS] if each.share >= LEAST_SHARE]
    if not shown:
        return None
    titles = [f"{each.names[0]} × {each.names[1]}: {100 * each.share:.0f}%" for each in shown]
    figure = make_subplots(rows=1, cols=len(shown), subplot_titles=titles, horizontal_spacing=0.1)
    by_name = {parameter.name: parameter for parameter in data.space}
    trials = spread(data.complete, MOST_TRIALS)
    for column, each in enumerate(shown, start=1):
        figure.add_heatmap(
            x=_shown(each.values[0]),
            y=_shown(each.values[1]),
            z=each.expected,
            coloraxis="coloraxis",
            zsmooth="best" if all(_is_smooth(by_name[name]) for name in each.names) else False,
            hovertemplate=f"{each.names[0]} %{{x}}<br>{each.names[1]} %{{y}}<br>%{{z:.4g}}<extra></extra>",
            row=1,
            col=column,
        )
        inside = [trial for trial in trials if _inside(trial, _axes(data, each.names))]
        figure.add_scatter(
            x=_shown([trial.parameters[each.names[0]] for trial in inside]),
            y=_shown([trial.parameters[each.names[1]] for trial in inside]),
            mode="markers",
            marker={"color": "#0f172a", "size": 4, "opacity": 0.5},
            showlegend=False,
            hoverinfo="skip",
            row=1,
            col=column,
        )
        for update, name in ((figure.update_xaxes, each.names[0]), (figure.update_yaxes, each.names[1])):
            update(title=name, type=_axis(by_name[name]), dtick=_tick(by_name[name]), row=1, col=column)
    better = "Blues" if objective.goal is Goal.MAXIMIZE else "Blues_r"
    figure.update_layout(coloraxis={"colorscale": better, "colorbar": {"title": objective.metric, "thickness": 12}})
    return figure


def _axis(parameter: Parameter) -> str:
    numbers = parameter.float_ or parameter.int_
    return "category" if numbers is None else "log" if numbers.scale is Scale.LOG else "linear"


def _is_smooth(parameter: Parameter) -> bool:
    count = dimension(parameter).count
    return dimension(parameter).ordered and (count is None or count > GRID)


def _tick(parameter: Parameter) -> int | None:
    few = (
        parameter.int_ is not None and parameter.int_.max - parameter.int_.min <= GRID and _axis(parameter) == "linear"
    )
    return 1 if few else None


def _shown(values: Sequence[Any]) -> list[Any]:
    return [value if _is_number(value) else words.parameter(value) for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _axes(data: ReportData, names: Sequence[str]) -> dict[str, Dimension]:
    return {parameter.name: dimension(parameter) for parameter in data.space if parameter.name in names}


def _unit(axis: Dimension, value: Any) -> float:
    key = axis.key(value)
    return 0.5 if key is None else axis.unit(key)


def _snapped(axis: Dimension, unit: float) -> float:
    """The middle of the cell that the point lies in."""
    return axis.unit(axis.from_unit(unit))


def _value(axis: Dimension, unit: float) -> Any:
    return axis.value(axis.from_unit(unit))


def _grid(axis: Dimension) -> list[float]:
    count = axis.count if axis.count is not None and axis.count <= GRID else GRID
    return sorted({_snapped(axis, (index + 0.5) / count) for index in range(count)})


def _inside(trial: TrialData, axes: Mapping[str, Dimension]) -> bool:
    return all(axis.key(trial.parameters[name]) is not None for name, axis in axes.items())
