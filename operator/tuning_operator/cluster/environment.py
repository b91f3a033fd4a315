"""The `TUNING_*` variables of docs/trial-contract.md, as a pod's container gets them."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tuning_operator.api.study import Objective
from tuning_operator.api.trial import Role
from tuning_operator.core.model import Study
from tuning_operator.search.types import Parameters

CHECKPOINT_DIR: Final = "/checkpoint"


def variables(
    study: Study, *, trial: str, number: int, role: Role, attempt: int, parameters: Parameters
) -> dict[str, str]:
    spec = study.spec
    result = {
        "TUNING_STUDY": study.name,
        "TUNING_TRIAL": trial,
        "TUNING_TRIAL_NUMBER": str(number),
        "TUNING_ATTEMPT": str(attempt),
        "TUNING_ROLE": role.value,
        "TUNING_PARAMETERS": _compact(dict(parameters)),
        "TUNING_OBJECTIVES": _compact(_objectives(spec.objectives)),
        "TUNING_CHECKPOINT_DIR": CHECKPOINT_DIR,
        "TUNING_METRICS_PORT": str(spec.metrics.port),
    }
    if spec.trial.trainer is not None:
        result["TUNING_TRAINER"] = _compact(spec.trial.trainer)
    if role is Role.FINAL and spec.final is not None:
        result["TUNING_FINAL"] = spec.final.model_dump_json(by_alias=True, exclude_none=True)
    for name, value in parameters.items():
        result[variable(name)] = value if isinstance(value, str) else _compact(value)
    return {name: escaped(value) for name, value in result.items()}


def variable(parameter: str) -> str:
    """`optimizer.lr` -> `TUNING_PARAM_OPTIMIZER_LR`."""
    return "TUNING_PARAM_" + "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in parameter.upper())


def escaped(value: str) -> str:
    """As the kubelet must find it, which expands `$(NAME)` in values too: a value is data and means only itself."""
    return value.replace("$", "$$")


def _objectives(objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    fields = {"metric", "goal", "summarize", "window"}
    return [o.model_dump(mode="json", by_alias=True, include=fields, exclude_none=True) for o in objectives]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
