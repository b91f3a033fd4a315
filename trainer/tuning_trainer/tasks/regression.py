"""A number for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tuning_trainer.config.loss import Loss
from tuning_trainer.metrics import evaluation
from tuning_trainer.optim import loss as losses
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.tasks.gathered import Gathered
from tuning_trainer.tasks.task import Meter


@dataclass(frozen=True, slots=True)
class Regression:
    """Outputs [N, 1] for numbers [N], both standardised: in its own unit a number is `value * scale + mean`."""

    mean: float
    scale: float

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return 1

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        return {"classes": None, "target": {"mean": self.mean, "scale": self.scale}}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return losses.for_numbers(loss)

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return Gathered(loss, self._metrics)

    def _metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        predicted = outputs.squeeze(1).double() * self.scale + self.mean
        return evaluation.regression(predicted, targets.double() * self.scale + self.mean)
