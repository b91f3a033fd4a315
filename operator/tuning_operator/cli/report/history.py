"""How the study went: every value, the best so far, and with several objectives what the front covers."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuning_operator.api.study import Goal, Objective
from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.drawing import ACCENT, BEST, SOFT, Plot, leave_outliers_outside
from tuning_operator.search.pareto import fronts, hypervolume, reference

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_DOTS = 3000
MOST_VOLUMES = 200
"""Times at which the volume is computed; from four objectives on, each costs."""


def history(data: ReportData) -> list[Plot]:
    metrics = [objective.metric for objective in data.objectives]
    says = "Each dot is a trial, the line is the best so far"
    says += " among those that keep the constraints." if data.constraints else "."
    if any(trial.errors for trial in data.complete):
        says += " Bars are standard errors over replicates."
    plots = [
        Plot("History" if at == 0 else "", says if at == 0 else "", partial(_history, data, objective), 300)
        for at, objective in enumerate(data.objectives[:4])
    ]
    if len(metrics) > 1:
        says = (
            "Share of the box between the best and the worst value of each objective that the front covers "
            "(hypervolume): a line that stands still says that the search has converged."
        )
        plots.insert(0, Plot("Hypervolume", says, lambda: _volumes(data), 260))
    return plots


def _history(data: ReportData, objective: Objective) -> "go.Figure | None":
    import plotly.graph_objects as go

    metric = objective.metric
    figure = go.Figure()
    feasible, infeasible = list(data.feasible), [trial for trial in data.complete if trial.violation]
    early = [
        trial for trial in data.trials if trial.state in ("Stopped", "Paused") and _last(trial, metric) is not None
    ]
    if not feasible and not infeasible:
        return None
    for trials, name, color, symbol in (
        (early, "ended early or paused (value at its last rung)", SOFT, "circle-open"),
        (infeasible, "breaks a constraint", SOFT, "x-thin-open"),
        (feasible, "trial", ACCENT, "circle"),
    ):
        if not trials:
            continue
        shown = spread(trials, MOST_DOTS)
        errors = [trial.errors.get(metric) for trial in shown]
        figure.add_scatter(
            x=[trial.number for trial in shown],
            y=[_last(trial, metric) for trial in shown],
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.75},
            error_y={"array": errors, "thickness": 1, "width": 0} if any(errors) else None,
            hovertemplate=f"trial %{{x}}<br>{metric} %{{y:.6g}}<extra></extra>",
        )
    steps = _best_so_far(feasible, objective)
    if steps:
        steps.append((data.trials[-1].number, steps[-1][1]))
        figure.add_scatter(
            x=[number for number, _ in steps],
            y=[value for _, value in steps],
            mode="lines",
            name="best so far",
            line={"color": BEST, "width": 2, "shape": "hv"},
            hoverinfo="skip",
        )
    if objective.target is not None:
        figure.add_hline(y=objective.target, line={"color": SOFT, "dash": "dot"}, annotation_text="target")
    figure.update_xaxes(title="trial")
    figure.update_yaxes(title=metric)
    reached = (_last(trial, metric) for trial in [*feasible, *infeasible, *early])
    leave_outliers_outside(figure, [value for value in reached if value is not None])
    return figure


def _last(trial: TrialData, metric: str) -> float | None:
    """Its value, or the one at the last rung it reached."""
    reached = [rung.values[metric] for rung in trial.rungs if metric in rung.values]
    return trial.values.get(metric, reached[-1] if reached else None)


def _best_so_far(trials: Sequence[TrialData], objective: Objective) -> list[tuple[int, float]]:
    """(number, value) of each trial that was better than all before it."""
    found: list[tuple[int, float]] = []
    sign = 1 if objective.goal is Goal.MAXIMIZE else -1
    for trial in trials:
        value = trial.values[objective.metric]
        if not found or sign * value > sign * found[-1][1]:
            found.append((trial.number, value))
    return found


def volumes(data: ReportData) -> list[tuple[int, float]]:
    """(number, share covered) after each of at most `MOST_VOLUMES` trials."""
    losses = [loss for trial in data.feasible if (loss := data.losses(trial)) is not None]
    if len(losses) < 2:
        return []
    worst = reference(losses)
    ideal = [min(column) for column in zip(*losses, strict=True)]
    box = 1.0
    for high, low in zip(worst, ideal, strict=True):
        box *= high - low
    found, front = [], []
    looked = {trial.number for trial in spread(data.feasible, MOST_VOLUMES)}
    for trial, loss in zip(data.feasible, losses, strict=True):
        front.append(loss)
        if trial.number in looked:
            front = [front[index] for index in fronts(front)[0]]
            found.append((trial.number, hypervolume(front, worst) / box))
    return found


def _volumes(data: ReportData) -> "go.Figure | None":
    import plotly.graph_objects as go

    found = volumes(data)
    if not found:
        return None
    figure = go.Figure()
    figure.add_scatter(
        x=[number for number, _ in found],
        y=[share for _, share in found],
        mode="lines",
        line={"color": BEST, "width": 2, "shape": "hv"},
        hovertemplate="after trial %{x}: %{y:.4f}<extra></extra>",
    )
    figure.update_xaxes(title="trial")
    figure.update_yaxes(title="hypervolume", range=[0, 1.02])
    return figure


def spread(trials: Sequence[TrialData], most: int) -> Sequence[TrialData]:
    """At most so many of them, evenly spread, the first and the last among them."""
    if len(trials) <= most:
        return trials
    return [trials[round(index * (len(trials) - 1) / (most - 1))] for index in range(most)]
