"""The file of an evaluation: how the model errs on one part of the data, for the report and for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor

from tuning_trainer.artifacts.store import write_text
from tuning_trainer.metrics import curves
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression
from tuning_trainer.tasks.task import Task

FILE: Final = "evaluation.json"


def has_curves(task: Task) -> bool:
    """Whether there is more to say of this task than its metrics."""
    return isinstance(task, Classification | Regression)


def write_evaluation(directory: Path, *, part: str, task: Task, outputs: Tensor, targets: Tensor) -> dict[str, str]:
    """Writes the model's `outputs` on `part` as curves; returns artifact name -> file name. Never encrypted: it holds
    counts and shares; of a regression also single predictions. Raises OSError when the disk refuses.
    """
    body = {"v": 1, "part": part} | _body(task, outputs, targets)
    return {"evaluation": write_text(directory / FILE, json.dumps(_short(body), separators=(",", ":"))).name}


def _body(task: Task, outputs: Tensor, targets: Tensor) -> dict[str, Any]:
    wanted = targets.cpu().numpy()
    if isinstance(task, Classification):
        return curves.of_classes(outputs.double().softmax(dim=1).cpu().numpy(), wanted, task.classes)
    assert isinstance(task, Regression)
    predicted = outputs.squeeze(1).double().cpu().numpy()
    return curves.of_numbers(predicted * task.scale + task.mean, wanted.astype(np.float64) * task.scale + task.mean)


def _short(value: Any) -> Any:
    """Numbers to six digits: a plot shows no more."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
