"""The `TUNING_*` variables as a pod's container gets them."""

from typing import Final

from tuning_operator.api.trial import Role
from tuning_operator.core import contract
from tuning_operator.core.model import Study
from tuning_operator.search.types import Parameters

CHECKPOINT_DIR: Final = "/checkpoint"


def variables(
    study: Study, *, trial: str, number: int, role: Role, attempt: int, parameters: Parameters
) -> dict[str, str]:
    told = contract.variables(study, trial=trial, number=number, role=role, attempt=attempt, parameters=parameters) | {
        "TUNING_CHECKPOINT_DIR": CHECKPOINT_DIR,
        "TUNING_METRICS_PORT": str(study.spec.metrics.port),
    }
    return {name: escaped(value) for name, value in told.items()}


def escaped(value: str) -> str:
    """As the kubelet must find it, which expands `$(NAME)` in values too: a value is data and means only itself."""
    return value.replace("$", "$$")
