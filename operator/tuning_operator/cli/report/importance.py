"""Which parameters matter.

PED-ANOVA looks at what good trials have in common, fANOVA at everything that was tried; both are Optuna's.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tuning_operator.api.study import Goal, Objective
from tuning_operator.cli.report.data import ReportData
from tuning_operator.cli.report.drawing import ACCENT, BEST, Plot
from tuning_operator.cli.report.recorded import active_everywhere

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

FEWEST = 8
"""Complete trials below which nothing can be said of importances."""
MOST_TRIALS = 500
"""From which a forest learns; more change little and cost much."""
_log = logging.getLogger(__name__)


def importances(study: "optuna.Study", data: ReportData, which: str) -> list[Plot]:
    if len(data.complete) < FEWEST or len(active_everywhere(data)) < 1:
        return []
    left_out = [p.name for p in data.space if p.when and p.name not in active_everywhere(data)]
    says = "Share of the differences that each parameter explains: among good trials (PED-ANOVA), among all (fANOVA)."
    if left_out:
        says += f" Not active in every trial and left out: {', '.join(left_out)}."
    says += which
    height = 120 + 34 * len(active_everywhere(data))
    plots = []
    for at, objective in enumerate(data.objectives[:4]):
        title, text = ("Importances", says) if at == 0 else ("", "")
        plots.append(Plot(title, text, partial(_bars, study, data, objective, at), height))
    return plots


def _bars(study: "optuna.Study", data: ReportData, objective: Objective, at: int) -> "go.Figure | None":
    import plotly.graph_objects as go
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    names = active_everywhere(data)
    # As a loss: where a target function is given, Optuna takes smaller values for the better ones.
    sign = -1.0 if objective.goal is Goal.MAXIMIZE else 1.0
    target = lambda trial: sign * trial.values[at]  # noqa: E731
    found = {
        "PED-ANOVA": get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), params=names, target=target)
    }
    forest = fanova(study, names, target)
    if forest:
        found["fANOVA"] = forest
    order = sorted(names, key=lambda name: found["PED-ANOVA"].get(name, 0.0) + found.get("fANOVA", {}).get(name, 0.0))
    figure = go.Figure()
    for (kind, shares), color in zip(reversed(found.items()), (BEST, ACCENT)[-len(found) :], strict=True):
        values = [shares.get(name, 0.0) for name in order]
        figure.add_bar(
            y=order,
            x=values,
            orientation="h",
            name=kind,
            marker={"color": color},
            text=[f"{value:.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.3f}<extra>" + kind + "</extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3, legend_traceorder="reversed")
    figure.update_xaxes(title=f"importance for {objective.metric}", rangemode="tozero")
    figure.update_yaxes(type="category", automargin=True, ticksuffix="  ")
    return figure


def fanova(study: "optuna.Study", names: Sequence[str], target: Any) -> dict[str, float]:
    """By Optuna, where scikit-learn is there; empty otherwise, and where no forest can tell anything."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    states = (optuna.trial.TrialState.COMPLETE,)
    trials = study.get_trials(deepcopy=False, states=states)
    small = optuna.create_study(directions=study.directions)
    every = -(-len(trials) // MOST_TRIALS)
    small.add_trials(trials[::every])
    try:
        evaluator = FanovaImportanceEvaluator(n_trees=32, max_depth=12, seed=0)
        return dict(get_param_importances(small, evaluator=evaluator, params=[*names], target=target))
    except (ImportError, ValueError, RuntimeError) as error:
        _log.debug("no fANOVA: %s", error)
        return {}
