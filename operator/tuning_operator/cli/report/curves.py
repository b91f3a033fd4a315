"""Learning curves: what each trial reported step by step where that is known, and at its rungs otherwise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuning_operator.cli.report.data import Curve, ReportData, TrialData
from tuning_operator.cli.report.drawing import ACCENT, BEST, SOFT, Plot, leave_outliers_outside
from tuning_operator.cli.report.history import spread
from tuning_operator.search.pbt import NAME as PBT

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_CURVES = 150
MOST_POINTS = 200
"""Of a curve."""


def learning_curves(data: ReportData) -> list[Plot]:
    metric = data.objectives[0].metric
    budgets = sorted({rung.budget for trial in data.trials for rung in trial.rungs})
    says = f"{metric} over the steps of each trial; the best one is drawn last."
    if budgets:
        says += " Dots are rungs, at which trials were let go on, paused or ended."
    return [Plot("Learning curves", says, lambda: _curves(data, budgets), 380)]


def _curves(data: ReportData, budgets: Sequence[int]) -> "go.Figure | None":
    import plotly.graph_objects as go

    metric = data.objectives[0].metric
    drawn = [trial for trial in data.trials if len(_curve(data, trial)) > 1 or trial.rungs]
    if not any(len(_curve(data, trial)) > 1 for trial in drawn):
        return None
    figure = go.Figure()
    best = data.best
    chosen = [trial for trial in spread(drawn, MOST_CURVES) if trial is not best]
    for trial in [*chosen, *([best] if best in drawn and best is not None else [])]:
        curve = thinned(_curve(data, trial))
        is_best, full = trial is best, trial.state == "Succeeded"
        color = BEST if is_best else ACCENT if full else SOFT
        figure.add_scatter(
            x=[step for step, _ in curve],
            y=[value for _, value in curve],
            mode="lines",
            line={"color": color, "width": 2.5 if is_best else 1},
            opacity=1 if is_best else 0.45,
            name=f"best: trial {trial.number}" if is_best else "trained to the end" if full else "ended early, paused",
            legendgroup=color,
            showlegend=is_best or trial is next((t for t in chosen if (t.state == "Succeeded") is full), None),
            hovertemplate=f"trial {trial.number}<br>step %{{x}}: %{{y:.6g}}<extra></extra>",
        )
    marks = [
        (rung.budget, rung.values[metric], trial.number)
        for trial in [*chosen, *([best] if best is not None else [])]
        for rung in trial.rungs
        if metric in rung.values
    ]
    if marks:
        figure.add_scatter(
            x=[budget for budget, _, _ in marks],
            y=[value for _, value, _ in marks],
            mode="markers",
            marker={"color": "#475569", "size": 4},
            name="at a rung",
            text=[f"trial {number}" for _, _, number in marks],
            hovertemplate="%{text}<br>rung %{x}: %{y:.6g}<extra></extra>",
        )
    if len(budgets) > 1 and budgets[-1] >= 9 * budgets[0]:
        figure.update_xaxes(type="log", tickvals=list(budgets), ticktext=[str(budget) for budget in budgets])
    figure.update_xaxes(title="step")
    figure.update_yaxes(title=metric)
    leave_outliers_outside(figure, [value for trial in drawn for _, value in thinned(_curve(data, trial))])
    return figure


def _curve(data: ReportData, trial: TrialData) -> Curve:
    """With population based training a generation goes on where its parent's training was."""
    curve = list(_own(data, trial))
    while curve and trial.by == PBT and trial.parent is not None and trial.parent < trial.number:
        parent = data.by_number.get(trial.parent)
        if parent is None:
            break
        trial = parent
        curve = [*(point for point in _own(data, trial) if point[0] < curve[0][0]), *curve]
    return curve


def _own(data: ReportData, trial: TrialData) -> Curve:
    metric = data.objectives[0].metric
    known = data.curves.get(trial.number)
    return known or [(rung.budget, rung.values[metric]) for rung in trial.rungs if metric in rung.values]


def thinned(curve: Curve) -> Curve:
    """Of a long curve every n-th point, and the last."""
    every = -(-len(curve) // MOST_POINTS)
    return curve if every <= 1 else [*curve[:-1:every], curve[-1]]
