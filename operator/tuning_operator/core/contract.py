"""The `TUNING_*` variables of docs/trial-contract.md: what a trial is told, wherever it runs. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from tuning_operator.api.study import Objective
from tuning_operator.api.trainer import for_trainer, variable
from tuning_operator.api.trial import Role
from tuning_operator.core.model import Study
from tuning_operator.search.types import Parameters


def variables(
    study: Study, *, trial: str, number: int, role: Role, attempt: int, parameters: Parameters
) -> dict[str, str]:
    """All that does not depend on the place; where files and metrics go is added by whoever starts the trial."""
    spec = study.spec
    result = {
        "TUNING_STUDY": study.name,
        "TUNING_TRIAL": trial,
        "TUNING_TRIAL_NUMBER": str(number),
        "TUNING_ATTEMPT": str(attempt),
        "TUNING_ROLE": role.value,
        "TUNING_PARAMETERS": _compact(dict(parameters) if spec.trial.trainer is None else for_trainer(parameters)),
        "TUNING_OBJECTIVES": _compact(_objectives(spec.objectives)),
    }
    if spec.trial.trainer is not None:
        result["TUNING_TRAINER"] = _compact(spec.trial.trainer)
    if role is Role.FINAL and spec.final is not None:
        result["TUNING_FINAL"] = spec.final.model_dump_json(by_alias=True, exclude_none=True)
    for name, value in parameters.items():
        result[variable(name)] = value if isinstance(value, str) else _compact(value)
    return result


def _objectives(objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    fields = {"metric", "goal", "summarize", "window"}
    return [o.model_dump(mode="json", by_alias=True, include=fields, exclude_none=True) for o in objectives]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
