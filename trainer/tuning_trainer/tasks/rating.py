"""A rating of an item by a user."""

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
class Rating:
    """Outputs [N, 1] for ratings [N], both standardised. Metrics are in the unit of the ratings, of predictions that
    are kept between the least and the greatest rating of the training part.
    """

    mean: float
    scale: float
    least: float
    greatest: float

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return 1

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        target = {"mean": self.mean, "scale": self.scale, "least": self.least, "greatest": self.greatest}
        return {"classes": None, "target": target}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return losses.for_numbers(loss)

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return Gathered(loss, self._metrics)

    def _metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        predicted = (outputs.squeeze(1).double() * self.scale + self.mean).clamp(self.least, self.greatest)
        values = evaluation.regression(predicted, targets.double() * self.scale + self.mean)
        return {"rmse": values["mse"] ** 0.5, "mae": values["mae"]}
