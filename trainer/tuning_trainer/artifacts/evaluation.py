"""The file of an evaluation: how the model errs on one part of the data, for the report and for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
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


Judged = tuple[Task, Tensor, Tensor]
"""A model's task, its outputs and the targets."""


def write_evaluation(directory: Path, *, part: str, judged: Sequence[Judged]) -> dict[str, str]:
    """Writes how one model, or that of each fold together, did on `part`; returns artifact name -> file
    name. Never encrypted: it holds counts and shares; of a regression also single predictions. Raises OSError when the
    disk refuses.
    """
    body = {"v": 1, "part": part} | _body(judged)
    return {"evaluation": write_text(directory / FILE, json.dumps(_short(body), separators=(",", ":"))).name}


def _body(judged: Sequence[Judged]) -> dict[str, Any]:
    task = judged[0][0]
    if isinstance(task, Classification):
        probabilities = [outputs.double().softmax(dim=1).cpu().numpy() for _, outputs, _ in judged]
        targets = [wanted.cpu().numpy() for _, _, wanted in judged]
        return curves.of_classes(np.concatenate(probabilities), np.concatenate(targets), task.classes)
    predicted, wanted = zip(*(_numbers(*each) for each in judged), strict=True)
    return curves.of_numbers(np.concatenate(predicted), np.concatenate(wanted))


def _numbers(task: Task, outputs: Tensor, targets: Tensor) -> tuple[curves.Floats, curves.Floats]:
    """In their own unit: each fold has a scale of its own."""
    assert isinstance(task, Regression)
    predicted = outputs.squeeze(1).double() * task.scale + task.mean
    return predicted.cpu().numpy(), (targets.double() * task.scale + task.mean).cpu().numpy()


def _short(value: Any) -> Any:
    """Numbers to six digits: a plot shows no more."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
