"""The plots of a report, in the order in which a person reads them: what came out, how it went, and why."""

import logging
import warnings
from dataclasses import replace
from functools import partial

from tuning_operator.cli.report.curves import learning_curves
from tuning_operator.cli.report.data import ReportData
from tuning_operator.cli.report.drawing import A_ROW, Figure, Plot, dressed
from tuning_operator.cli.report.evaluation import evaluated
from tuning_operator.cli.report.front import pareto_front
from tuning_operator.cli.report.history import history
from tuning_operator.cli.report.importance import importances
from tuning_operator.cli.report.interactions import strongest_pairs
from tuning_operator.cli.report.recorded import MOST, active_everywhere, compared, recorded

FEWEST = 2
"""Complete trials below which there is nothing to draw."""

_log = logging.getLogger(__name__)


def figures(data: ReportData) -> list[Figure]:
    """What can be drawn from these trials; a plot that needs more than there is is left out."""
    curves, errors = learning_curves(data), evaluated(data.evaluation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks parts of its plots as experimental
        looked, which = compared(data)
        if len(looked.complete) < FEWEST:
            plots = [*errors, *curves]
        else:
            study = recorded(looked)
            plots = [
                *pareto_front(data),
                *errors,
                *history(data),
                *curves,
                *importances(study, looked, which),
                *strongest_pairs(looked, which),
                *_by_optuna(looked, which),
                *_timeline(data),
            ]
        return _drawn(plots)


def _drawn(plots: list[Plot]) -> list[Figure]:
    found: list[Figure] = []
    title = says = ""
    for plot in plots:
        if plot.title:
            title, says = plot.title, plot.says
        try:
            figure = plot.make()
        except (ValueError, RuntimeError) as error:
            _log.debug("no plot %s: %s", plot.title, error)
            continue
        if figure is not None and figure.data:
            found.append(Figure(title, says, plot.height, dressed(figure, plot.height).to_json()))
            title = says = ""  # what follows without a title belongs to this one
    return found


def _by_optuna(data: ReportData, which: str) -> list[Plot]:
    from optuna import visualization as v

    objective = data.objectives[0]
    # Of the first objective alone: given a target function, Optuna would take smaller values for the better ones.
    study = recorded(replace(data, objectives=[objective]))
    drawn = which + (
        f" {MOST} of {len(data.trials)} trials are drawn, the best among them." if len(data.trials) > MOST else ""
    )
    everywhere = active_everywhere(data)
    says = "Each line is a trial, the darker the better; drag along an axis to choose."
    plots = []
    if everywhere:
        make = partial(v.plot_parallel_coordinate, study, params=everywhere, target_name=objective.metric)
        plots.append(Plot("Parallel coordinates", says + drawn, make))
    used = [p.name for p in data.space if any(p.name in trial.params for trial in study.trials)]
    for first in range(0, len(used), A_ROW):
        title, says = (
            ("Slices", f"{objective.metric} over each parameter; darker is later.") if first == 0 else ("", "")
        )
        make = partial(v.plot_slice, study, params=used[first : first + A_ROW], target_name=objective.metric)
        plots.append(Plot(title, says + drawn if title else "", make, 300))
    return plots


def _timeline(data: ReportData) -> list[Plot]:
    from optuna import visualization as v

    return [
        Plot(
            "Timeline",
            "When each trial ran, by this machine's clock, and how it ended.",
            lambda: v.plot_timeline(recorded(data)),
        )
    ]
