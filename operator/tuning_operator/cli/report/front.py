"""The Pareto front: two or three objectives as points, two by two, more as lines over one axis each."""

from collections.abc import Sequence
from itertools import combinations
from math import isfinite, log10
from typing import TYPE_CHECKING, Any

from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.drawing import ACCENT, BEST, SOFT, Plot
from tuning_operator.cli.report.history import MOST_DOTS, spread

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_LABELS = 40
"""Points of a front that have their trial's number beside them."""
FEWEST_TIMES_FOR_LOG = 10
"""By how much the largest value is more than the smallest, before an axis has powers of ten."""


def pareto_front(data: ReportData) -> list[Plot]:
    count = len(data.objectives)
    if count < 2:
        return []
    goals = ", ".join(f"{each.metric} to {each.goal.value.lower()}" for each in data.objectives)
    if count > 3:
        says = f"Each line is a trial of the front: no other one beats it in every objective ({goals})."
        return [Plot("Pareto front", says, lambda: _lines(data), 380)]
    says = f"No trial beats one of the front in every objective ({goals}); best is the one {rule(data)}."
    if count == 3:
        says += " Each picture shows two objectives: what looks beaten there is better in the third."
    if any(trial.violation for trial in data.complete):
        says += " The axes are as wide as the trials that keep the constraints."
    return [Plot("Pareto front", says, lambda: _points(data), 420)]


def rule(data: ReportData) -> str:
    """How `best` was chosen from the front."""
    return "by your weights" if any(each.weight for each in data.objectives) else "at the knee"


def _points(data: ReportData) -> "go.Figure | None":
    """Each two objectives as a picture of their own: of three, points in space could be neither read nor compared."""
    from plotly.subplots import make_subplots

    if not data.complete:
        return None
    names = [objective.metric for objective in data.objectives]
    pairs = list(combinations(names, 2))
    figure = make_subplots(rows=1, cols=len(pairs), horizontal_spacing=0.09)
    front = {trial.number for trial in data.front}
    groups = (
        ("breaks a constraint", [trial for trial in data.complete if trial.violation], _marker(SOFT, 6, symbol="x")),
        ("trial", [trial for trial in data.feasible if trial.number not in front], _marker(ACCENT, 6, opacity=0.5)),
        ("front", data.front, _marker(BEST, 8)),
        ("best", [trial for trial in data.complete if trial is data.best], _marker("#0f172a", 14, symbol="star")),
    )
    for column, (across, up) in enumerate(pairs, 1):
        for name, trials, marker in groups:
            if trials:
                shown = spread(trials, MOST_DOTS)
                trace = _trace(data, shown, across, up, labelled=name == "front" and len(front) <= MOST_LABELS)
                trace.update(name=name, marker=marker, legendgroup=name, showlegend=column == 1)
                figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title=across, **_axis(data, across), col=column)
        figure.update_yaxes(title=up, **_axis(data, up), col=column)
    if len(pairs) == 1 and len(data.front) > 1:
        figure.add_scatter(
            x=[trial.values[names[0]] for trial in data.front],
            y=[trial.values[names[1]] for trial in data.front],
            mode="lines",
            line={"color": BEST, "width": 1, "shape": "hv"},
            showlegend=False,
            hoverinfo="skip",
        )
    return figure


def _marker(color: str, size: int, **more: Any) -> dict[str, Any]:
    return {"color": color, "size": size, **more}


def _trace(data: ReportData, trials: Sequence[TrialData], across: str, up: str, *, labelled: bool) -> "go.Scatter":
    import plotly.graph_objects as go

    told = [
        "<br>".join([f"trial {trial.number}", *(f"{o.metric} {trial.values[o.metric]:.6g}" for o in data.objectives)])
        for trial in trials
    ]
    return go.Scatter(
        x=[trial.values[across] for trial in trials],
        y=[trial.values[up] for trial in trials],
        mode="markers+text" if labelled else "markers",
        text=[str(trial.number) for trial in trials] if labelled else None,
        textposition="top center",
        textfont={"size": 10},
        hovertext=told,
        hoverinfo="text",
        cliponaxis=True,
    )


def _axis(data: ReportData, metric: str) -> dict[str, Any]:
    """As wide as the trials that keep the constraints: the others may be far off, and are of no use. By powers of ten
    where the values differ by some of them.
    """
    values = [trial.values[metric] for trial in data.feasible or data.complete]
    low, high = min(values), max(values)
    if not (isfinite(low) and isfinite(high)) or low == high:
        return {}
    if low > 0 and high / low > FEWEST_TIMES_FOR_LOG:
        margin = 0.07 * log10(high / low)
        return {"type": "log", "range": [log10(low) - margin, log10(high) + margin]}
    margin = 0.07 * (high - low)
    return {"range": [low - margin, high + margin]}


def _lines(data: ReportData) -> "go.Figure | None":
    import plotly.graph_objects as go

    if not data.front:
        return None
    axes = [
        {"label": each.metric, "values": [trial.values[each.metric] for trial in data.front]}
        for each in data.objectives
    ]
    colors = axes[0]["values"]
    return go.Figure(go.Parcoords(dimensions=axes, line={"color": colors, "colorscale": "Blues", "showscale": False}))
