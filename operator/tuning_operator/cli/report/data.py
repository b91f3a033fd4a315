"""What a report is made of: plain values taken from a TuningStudy and its TuningTrials as JSON.

A ledger on disk and a cluster both give these, so both get the same report.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import Constraint, Goal, Objective, StudySpec
from tuning_operator.search.constraints import violation
from tuning_operator.search.pareto import fronts

Json = Mapping[str, Any]
Curve = Sequence[tuple[int, float]]
"""(step, value of the first objective), rising."""


@dataclass(frozen=True, slots=True)
class RungData:
    budget: int
    values: Mapping[str, float]
    promoted: bool


@dataclass(frozen=True, slots=True)
class TrialData:
    number: int
    role: str
    state: str
    parameters: Mapping[str, Any]
    values: Mapping[str, float]
    errors: Mapping[str, float]
    """Standard error of each value, where it is the mean of replicates."""
    metrics: Mapping[str, float]
    infeasible: bool
    reason: str
    message: str
    by: str
    why: str
    """How its parameters came about, in one line."""
    generation: int | None
    parent: int | None
    rungs: Sequence[RungData]
    replicates: int
    start: datetime | None
    end: datetime | None
    attempts: int
    violation: float = 0.0
    """How far it breaks the study's constraints."""

    @property
    def seconds(self) -> float | None:
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class ReportData:
    name: str
    state: str
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    space: Sequence[Parameter]
    trials: Sequence[TrialData]
    """Of the search, by number."""
    further: Sequence[TrialData]
    """Further runs of the best ones, by number."""
    final: TrialData | None
    status: Json
    files: Mapping[str, str] = field(default_factory=dict)
    """Where weights and other files are, for a person."""
    curves: Mapping[int, Curve] = field(default_factory=dict)
    """Learning curves by trial, as far as they are known."""
    evaluation: Json | None = None
    """How the model of the final run errs, else that of the best trial, where a file says so."""

    @cached_property
    def best(self) -> TrialData | None:
        number = self.status.get("best", {}).get("number")
        return next((trial for trial in self.trials if trial.number == number), None)

    @cached_property
    def by_number(self) -> Mapping[int, TrialData]:
        return {trial.number: trial for trial in self.trials}

    @cached_property
    def complete(self) -> Sequence[TrialData]:
        """Trials with a value of every objective."""
        return [trial for trial in self.trials if trial.state == "Succeeded" and self.losses(trial) is not None]

    @cached_property
    def feasible(self) -> Sequence[TrialData]:
        return [trial for trial in self.complete if not trial.violation]

    @cached_property
    def front(self) -> Sequence[TrialData]:
        """Feasible trials that no other one beats in every objective, the best by the first objective first. Of trials
        with the same values the first stands for all, as in the status.
        """
        first: dict[tuple[float, ...], TrialData] = {}
        for trial in self.feasible:
            first.setdefault(self._loss(trial), trial)
        losses = sorted(first)
        return [first[losses[index]] for index in sorted(fronts(losses)[0])] if losses else []

    def losses(self, trial: TrialData) -> tuple[float, ...] | None:
        """Its values with smaller ones better; None where one is missing."""
        return self._loss(trial) if all(each.metric in trial.values for each in self.objectives) else None

    def _loss(self, trial: TrialData) -> tuple[float, ...]:
        return tuple(
            -trial.values[each.metric] if each.goal is Goal.MAXIMIZE else trial.values[each.metric]
            for each in self.objectives
        )


def report_data(
    study: Json,
    trials: Sequence[Json],
    *,
    files: Mapping[str, str] | None = None,
    curves: Mapping[int, Curve] | None = None,
    evaluation: Json | None = None,
) -> ReportData:
    spec = StudySpec.model_validate(study["spec"])
    status = study.get("status", {})
    every = sorted((_trial(trial, spec) for trial in trials), key=lambda trial: trial.number)
    return ReportData(
        name=study["metadata"]["name"],
        state=status.get("state", "Pending"),
        objectives=spec.objectives,
        constraints=spec.constraints,
        space=spec.parameters,
        trials=[trial for trial in every if trial.role == "Search"],
        further=[trial for trial in every if trial.role == "Confirm"],
        final=next((trial for trial in every if trial.role == "Final"), None),
        status=status,
        files=files or {},
        curves=curves or {},
        evaluation=evaluation,
    )


def _trial(resource: Json, spec: StudySpec) -> TrialData:
    given, status = resource["spec"], resource.get("status", {})
    result, suggestion = status.get("result", {}), given["suggestion"]
    values, metrics = _finite(result.get("values", {})), _finite(result.get("metrics", {}))
    return TrialData(
        number=given["number"],
        role=given.get("role", "Search"),
        state=status.get("state", "Pending"),
        parameters=given["parameters"],
        values=values,
        errors=result.get("errors", {}),
        metrics=metrics,
        infeasible=result.get("infeasible", False),
        reason=result.get("reason", ""),
        message=result.get("message", ""),
        by=suggestion["by"],
        why=suggestion.get("reason", ""),
        generation=suggestion.get("generation"),
        parent=suggestion.get("parent"),
        rungs=[
            RungData(rung["budget"], rung.get("values", {}), rung.get("promoted", False))
            for rung in status.get("rungs", ())
        ],
        replicates=len(status.get("replicates", ())),
        start=_time(status.get("startTime")),
        end=_time(status.get("completionTime")),
        attempts=status.get("attempt", 0) + 1,
        violation=violation(spec.constraints, {**metrics, **values}) if values else 0.0,
    )


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """The API takes no others; a file that somebody edited may hold some."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
