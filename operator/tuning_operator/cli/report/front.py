"""The Pareto front: two or three objectives as points, more as lines over one axis each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.drawing import ACCENT, BEST, SOFT, Plot
from tuning_operator.cli.report.history import MOST_DOTS, spread

if TYPE_CHECKING:
    import plotly.graph_objects as go


def pareto_front(data: ReportData) -> list[Plot]:
    count = len(data.objectives)
    if count < 2:
        return []
    goals = ", ".join(f"{each.metric} to {each.goal.value.lower()}" for each in data.objectives)
    if count > 3:
        says = f"Each line is a trial of the front: no other one beats it in every objective ({goals})."
        return [Plot("Pareto front", says, lambda: _lines(data), 380)]
    says = f"No trial beats one of the front in every objective ({goals}); best is the one {rule(data)}."
    return [Plot("Pareto front", says, lambda: _points(data), 420 if count == 2 else 560)]


def rule(data: ReportData) -> str:
    """How `best` was chosen from the front."""
    return "by your weights" if any(each.weight for each in data.objectives) else "at the knee"


def _points(data: ReportData) -> "go.Figure | None":
    import plotly.graph_objects as go

    if not data.complete:
        return None
    figure = go.Figure()
    solid = len(data.objectives) == 3
    front = {trial.number for trial in data.front}
    others = [trial for trial in data.feasible if trial.number not in front]
    broken = [trial for trial in data.complete if trial.violation]
    for trials, name, marker in (
        (broken, "breaks a constraint", {"color": SOFT, "symbol": "x", "size": 4 if solid else 6}),
        (others, "trial", {"color": ACCENT, "size": 3 if solid else 6, "opacity": 0.5}),
        (data.front, "front", {"color": BEST, "size": 5 if solid else 8}),
        ([trial for trial in data.complete if trial is data.best], "best", _star(solid)),
    ):
        if trials:
            _add(figure, data, spread(trials, MOST_DOTS), name=name, marker=marker)
    if not solid and len(data.front) > 1:
        figure.add_scatter(
            x=[trial.values[data.objectives[0].metric] for trial in data.front],
            y=[trial.values[data.objectives[1].metric] for trial in data.front],
            mode="lines",
            line={"color": BEST, "width": 1, "shape": "hv"},
            showlegend=False,
            hoverinfo="skip",
        )
    names = [objective.metric for objective in data.objectives]
    if solid:
        axes = {f"{axis}axis": {"title": name} for axis, name in zip("xyz", names, strict=True)}
        figure.update_layout(scene=axes | {"aspectmode": "cube", "camera": {"eye": {"x": 1.4, "y": 1.4, "z": 0.7}}})
    else:
        figure.update_xaxes(title=names[0])
        figure.update_yaxes(title=names[1])
    return figure


def _star(solid: bool) -> dict[str, Any]:
    marker = {"color": "#0f172a", "symbol": "diamond" if solid else "star", "size": 7 if solid else 14}
    return marker if solid else marker | {"line": {"color": "#fff", "width": 1}}


def _add(
    figure: "go.Figure", data: ReportData, trials: Sequence[TrialData], *, name: str, marker: dict[str, Any]
) -> None:
    columns = [[trial.values[objective.metric] for trial in trials] for objective in data.objectives]
    parts = [f"{objective.metric} %{{{axis}:.6g}}" for axis, objective in zip("xyz", data.objectives, strict=False)]
    common = {
        "mode": "markers",
        "name": name,
        "marker": marker,
        "text": [f"trial {trial.number}" for trial in trials],
        "hovertemplate": "<br>".join(["%{text}", *parts]) + "<extra></extra>",
    }
    if len(columns) == 3:
        figure.add_scatter3d(x=columns[0], y=columns[1], z=columns[2], **common)
    else:
        figure.add_scatter(x=columns[0], y=columns[1], **common)


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
