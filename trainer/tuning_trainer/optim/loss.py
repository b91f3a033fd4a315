"""The loss as a function of the model's outputs and the targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tuning_trainer.config import loss as settings
from tuning_trainer.config.errors import SettingError

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Outputs [N, K] and targets [N] -> mean loss of the batch, a scalar."""


def build(loss: settings.Loss, *, classification: bool) -> LossFunction:
    """The loss for the task. Raises `SettingError` when it does not fit."""
    match loss:
        case settings.CrossEntropy() if not classification:
            raise SettingError("loss.name is 'cross_entropy' but the data is a regression; use mse or auto")
        case settings.CrossEntropy():
            smoothing = loss.label_smoothing
            return lambda outputs, targets: functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
        case settings.AutoLoss() if classification:
            return functional.cross_entropy
        case settings.MeanSquaredError() if classification:
            return _brier
        case _:
            return _squared_error


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(outputs.squeeze(1), targets)


def _brier(outputs: Tensor, targets: Tensor) -> Tensor:
    probabilities = torch.softmax(outputs, dim=1)
    return functional.mse_loss(probabilities, functional.one_hot(targets, outputs.shape[1]).to(probabilities.dtype))
