"""An evaluation whose metrics need all outputs at once, such as an area under a curve."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tuning_trainer.optim.loss import LossFunction


class Gathered:
    """Keeps all outputs and targets on their device until the end."""

    def __init__(self, loss: LossFunction, metrics: Callable[[Tensor, Tensor], dict[str, float]]) -> None:
        self._loss = loss
        self._metrics = metrics
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """See `Meter`."""
        self._outputs.append(outputs)
        self._targets.append(targets)

    def values(self) -> dict[str, float]:
        """See `Meter`."""
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        return {"loss": float(self._loss(outputs, targets))} | self._metrics(outputs, targets)
