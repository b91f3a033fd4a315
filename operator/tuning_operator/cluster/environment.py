"""The `TUNING_*` variables as a pod's container gets them, and where its directories are."""

from typing import Final

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.sources import port_of
from tuning_operator.api.trial import Role
from tuning_operator.core import contract
from tuning_operator.core.model import Study, Trial
from tuning_operator.core.naming import trial_name

CHECKPOINT_DIR: Final = "/checkpoint"
PARENT_DIR: Final = "/parent"


def variables(study: Study, trial: Trial, *, attempt: int) -> dict[str, str]:
    told = contract.variables(study, trial, attempt=attempt) | {
        "TUNING_CHECKPOINT_DIR": CHECKPOINT_DIR,
        "TUNING_METRICS_PORT": str(port_of(study.spec)),
    }
    if parent_of(study, trial) is not None:
        told["TUNING_PARENT_DIR"] = PARENT_DIR
    return {name: escaped(value) for name, value in told.items()}


def parent_of(study: Study, trial: Trial) -> str | None:
    """Name of the trial whose checkpoint this one begins with. Only a claim keeps it, and only a population needs it:
    elsewhere a parent is a line in the family tree."""
    spec, parent = study.spec, trial.suggestion.parent
    population = spec.scheduler.name is SchedulerName.PBT and trial.role is Role.SEARCH
    if parent is None or not population or spec.trial.checkpoints.claim_name is None:
        return None
    return trial_name(study.name, study.uid, parent)


def escaped(value: str) -> str:
    """As the kubelet must find it, which expands `$(NAME)` in values too: a value is data and means only itself."""
    return value.replace("$", "$$")
