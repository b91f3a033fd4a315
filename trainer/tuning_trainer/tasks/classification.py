"""One class of several for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuning_trainer.config.loss import Loss
from tuning_trainer.metrics import evaluation
from tuning_trainer.optim import loss as losses
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.tasks.gathered import Gathered
from tuning_trainer.tasks.task import Meter


@dataclass(frozen=True, slots=True)
class Classification:
    """Logits [N, K] for classes [N]."""

    classes: tuple[str, ...]
    """Names of the classes."""
    counts: tuple[int, ...]
    """Training samples of each class."""

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return len(self.classes)

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        return {"classes": list(self.classes), "target": None}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return losses.for_classes(loss, counts=self.counts)

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return Gathered(loss, evaluation.classification)
