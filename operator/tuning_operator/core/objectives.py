"""What a trial's report is worth: values of the objectives, constraints, targets, and which of two trials is better.

Missing is not zero and NaN is not best: a value is finite, or there is none and a sentence says why.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning_operator.api.study import Constraint, Goal, Objective, Summarize
from tuning_trial.report import Report

METRICS_MAX: Final = 64
"""Metrics kept of a trial; the objectives and constraints first, then by name."""
_METRIC: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,127}")


@dataclass(frozen=True, slots=True)
class Summary:
    """A report in terms of the objectives. Objectives without a value are in `missing` or `not_finite`."""

    values: Mapping[str, float]
    missing: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.missing and not self.not_finite


def summarize(report: Report | None, objectives: Sequence[Objective]) -> Summary:
    """The value of each objective as the study asks for it: `Last`, `Best` or `Mean`."""
    values: dict[str, float] = {}
    missing: list[str] = []
    not_finite: list[str] = []
    for objective in objectives:
        value = None if report is None else _value(report, objective)
        if value is None:
            missing.append(objective.metric)
        elif not math.isfinite(value):
            not_finite.append(objective.metric)
        else:
            values[objective.metric] = value
    return Summary(values, tuple(missing), tuple(not_finite))


def _value(report: Report, objective: Objective) -> float | None:
    metric = objective.metric
    if objective.summarize is Summarize.BEST and metric in report.best:
        return report.best[metric].value
    if objective.summarize is Summarize.MEAN and metric in report.mean:
        return report.mean[metric]
    # A source that keeps no history (a scrape of an unknown image) has only the last value.
    return report.final.get(metric)


def metrics_of(report: Report | None, first: Sequence[str]) -> dict[str, float]:
    """Last finite value of every metric, at most 64: those in `first`, then the rest by name."""
    if report is None:
        return {}
    wanted = [name for name in first if name in report.final]
    wanted += sorted(report.final.keys() - set(wanted))
    usable = [name for name in wanted if math.isfinite(report.final[name]) and _METRIC.fullmatch(name)]
    return {name: report.final[name] for name in usable[:METRICS_MAX]}


def broken_constraints(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence for each constraint that these metrics break, or that cannot be checked."""
    broken = []
    for constraint in constraints:
        value = metrics.get(constraint.metric)
        if value is None:
            broken.append(f"{constraint.metric} was not reported")
        elif constraint.max is not None and value > constraint.max:
            broken.append(f"{constraint.metric} is {value:.6g}, more than {constraint.max:.6g}")
        elif constraint.min is not None and value < constraint.min:
            broken.append(f"{constraint.metric} is {value:.6g}, less than {constraint.min:.6g}")
    return tuple(broken)


def reached_targets(objectives: Sequence[Objective], values: Mapping[str, float]) -> bool:
    """Whether one trial reached the target of every objective that has one; False where none has."""
    wanted = [objective for objective in objectives if objective.target is not None]
    return bool(wanted) and all(_reached(objective, values.get(objective.metric)) for objective in wanted)


def _reached(objective: Objective, value: float | None) -> bool:
    if value is None or objective.target is None:
        return False
    return value >= objective.target if objective.goal is Goal.MAXIMIZE else value <= objective.target
