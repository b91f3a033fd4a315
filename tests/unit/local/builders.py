"""Small things that the local tests are about."""

from typing import Any

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import RecordResult, Result, Study, Trial
from tuning_operator.search.types import Suggestion


def a_spec(**changes: Any) -> StudySpec:
    spec: dict[str, Any] = {
        "objectives": [{"metric": "loss", "goal": "Minimize"}],
        "parameters": [{"name": "lr", "float": {"min": 0.1, "max": 1}}],
        "limits": {"trials": 4},
        "trial": {"trainer": {"data": {"name": "digits"}}},
    }
    return StudySpec.model_validate(spec | changes)


def a_template(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "trial", **container}]}}}}


def a_study(**changes: Any) -> Study:
    return Study("", "digits", "uid-1", 1, a_spec(**changes), created_at=1000.0)


def a_trial(number: int = 0, *, role: Role = Role.SEARCH, **parameters: Any) -> Trial:
    return Trial(number, role, Suggestion(parameters or {"lr": 0.5}, "Random", 0, "random"), created_at=1000.5)


def a_result(number: int = 0, *, loss: float = 0.25) -> RecordResult:
    result = Result(TrialState.SUCCEEDED, "Completed", values={"loss": loss}, metrics={"loss": loss}, step=3)
    return RecordResult(number, 0, result, 0, 0, 1.5, started_at=1001.25, ended_at=1002.5)
