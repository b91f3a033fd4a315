"""What the engine knows of a task. A new one is a class of this shape; loop, checkpoints and reports stay the same."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from tuning_trainer.config.loss import Loss
from tuning_trainer.optim.loss import LossFunction


class Meter(Protocol):
    """Gathers one evaluation, batch by batch."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """The model's float32 `outputs` for a batch, and what they should have been."""

    def values(self) -> dict[str, float]:
        """Metrics over all that was added, by name and without the part's prefix; with `loss` among them."""


class Task(Protocol):
    """A task, as learned from the training part."""

    @property
    def outputs(self) -> int:
        """Numbers the model gives: for each sample, or for each position of one."""

    @property
    def description(self) -> dict[str, Any]:
        """What the outputs mean, as JSON values, to be kept with the exported weights."""

    def loss(self, loss: Loss) -> LossFunction:
        """The loss that the settings ask for. Raises `SettingError` when it does not fit the task."""

    def meter(self, loss: LossFunction) -> Meter:
        """A new evaluation, whose loss is `loss`."""
