"""The `TUNING_*` variables of docs/trial-contract.md: what a trial is told, wherever it runs. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import Objective, StudySpec
from tuning_operator.api.trainer import for_trainer, variable
from tuning_operator.api.trial import Role
from tuning_operator.core.model import Study, Trial
from tuning_operator.core.naming import trial_name
from tuning_operator.core.rungs import budgets, until

SEED = "seed"
"""The trainer's setting that makes one run differ from another with the same parameters."""


def variables(study: Study, trial: Trial, *, attempt: int) -> dict[str, str]:
    """All that does not depend on the place; where files and metrics go is added by whoever starts the trial."""
    spec = study.spec
    values = told(spec, trial)
    result = {
        "TUNING_STUDY": study.name,
        "TUNING_TRIAL": trial_name(study.name, study.uid, trial.number),
        "TUNING_TRIAL_NUMBER": str(trial.number),
        "TUNING_ATTEMPT": str(attempt),
        "TUNING_ROLE": trial.role.value,
        "TUNING_PARAMETERS": _compact(values if spec.trial.trainer is None else for_trainer(values)),
        "TUNING_OBJECTIVES": _compact(_objectives(spec.objectives)),
    }
    if spec.trial.trainer is not None:
        result["TUNING_TRAINER"] = _compact(spec.trial.trainer)
    if trial.role is Role.FINAL and spec.final is not None:
        result["TUNING_FINAL"] = spec.final.model_dump_json(by_alias=True, exclude_none=True)
    fidelity = _fidelity(spec, trial)
    if fidelity is not None:
        result["TUNING_FIDELITY"] = _compact(fidelity)
    replicate = replicate_of(spec, trial)
    if replicate is not None:
        result["TUNING_REPLICATE"] = str(replicate)
    for name, value in values.items():
        result[variable(name)] = value if isinstance(value, str) else _compact(value)
    return result


def told(spec: StudySpec, trial: Trial) -> dict[str, JSONScalar]:
    """The suggested parameters, and with them those that the study itself sets: the full budget, the replicate.

    A further run of one of the best trials, which names no parameter for it, gets another seed of the trainer.
    """
    values = dict(trial.suggestion.parameters)
    if spec.fidelity is not None:
        values[spec.fidelity.parameter] = spec.fidelity.max
    replicate = replicate_of(spec, trial)
    named = spec.trial.replicates.parameter if spec.trial.replicates is not None else None
    if named is not None:
        values[named] = replicate or 0
    elif replicate is not None and trial.role is Role.CONFIRM and spec.trial.trainer is not None:
        seed = values.get(SEED, spec.trial.trainer.get(SEED, 0))
        values[SEED] = replicate + (seed if isinstance(seed, int) else 0)
    return values


def replicate_of(spec: StudySpec, trial: Trial) -> int | None:
    """Which of the runs with the same parameters the trial's current one is; None where there is one only."""
    count = spec.trial.replicates.count if spec.trial.replicates is not None else None
    if trial.role is Role.CONFIRM:
        return (count or 1) + (trial.suggestion.generation or 0)
    return len(trial.replicates) if count is not None and trial.role is Role.SEARCH else None


def _fidelity(spec: StudySpec, trial: Trial) -> dict[str, Any] | None:
    end = until(spec, trial)
    if spec.fidelity is None or end is None:
        return None
    rungs = list(budgets(spec, trial))
    return {"parameter": spec.fidelity.parameter, "max": spec.fidelity.max, "rungs": rungs, "until": end}


def _objectives(objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    fields = {"metric", "goal", "summarize", "window"}
    return [o.model_dump(mode="json", by_alias=True, include=fields, exclude_none=True) for o in objectives]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
