"""What a report is made of: plain values taken from a TuningStudy and its TuningTrials as JSON.

A ledger on disk and a cluster both give these, so both get the same report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import Objective, StudySpec

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialData:
    number: int
    role: str
    state: str
    parameters: Mapping[str, Any]
    values: Mapping[str, float]
    metrics: Mapping[str, float]
    infeasible: bool
    reason: str
    message: str
    by: str
    start: datetime | None
    end: datetime | None
    attempts: int

    @property
    def seconds(self) -> float | None:
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class ReportData:
    name: str
    state: str
    objectives: Sequence[Objective]
    space: Sequence[Parameter]
    trials: Sequence[TrialData]
    """Of the search, by number."""
    final: TrialData | None
    status: Json
    files: Mapping[str, str] = field(default_factory=dict)
    """Where weights and other files are, for a person."""

    @property
    def best(self) -> TrialData | None:
        number = self.status.get("best", {}).get("number")
        return next((trial for trial in self.trials if trial.number == number), None)


def report_data(study: Json, trials: Sequence[Json], *, files: Mapping[str, str] | None = None) -> ReportData:
    spec = StudySpec.model_validate(study["spec"])
    status = study.get("status", {})
    every = sorted((_trial(trial) for trial in trials), key=lambda trial: trial.number)
    return ReportData(
        name=study["metadata"]["name"],
        state=status.get("state", "Pending"),
        objectives=spec.objectives,
        space=spec.parameters,
        trials=[trial for trial in every if trial.role == "Search"],
        final=next((trial for trial in every if trial.role == "Final"), None),
        status=status,
        files=files or {},
    )


def _trial(resource: Json) -> TrialData:
    spec, status = resource["spec"], resource.get("status", {})
    result = status.get("result", {})
    return TrialData(
        number=spec["number"],
        role=spec.get("role", "Search"),
        state=status.get("state", "Pending"),
        parameters=spec["parameters"],
        values=result.get("values", {}),
        metrics=result.get("metrics", {}),
        infeasible=result.get("infeasible", False),
        reason=result.get("reason", ""),
        message=result.get("message", ""),
        by=spec["suggestion"]["by"],
        start=_time(status.get("startTime")),
        end=_time(status.get("completionTime")),
        attempts=status.get("attempt", 0) + 1,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
