"""Runs the model over one part of the data and gives its metrics by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from tuning_trainer.data.parts import Part, Prepared
from tuning_trainer.metrics import evaluation
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.loss import LossFunction

BATCH_VALUES = 16 * 2**20
"""Input numbers of one evaluation batch; bounds memory, and small parts go through in one batch."""


class Evaluator:
    """Evaluates one model; metric names are the part's prefix and the metric: `val_accuracy`, `test_loss`."""

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        module: nn.Module,
        data: Prepared,
        loss: LossFunction,
        autocast: Callable[[], AbstractContextManager[object]],
        average: Average | None = None,
    ) -> None:
        """With an `average`, that is what is evaluated."""
        self._model = model
        self._module = module
        self._data = data
        self._loss = loss
        self._autocast = autocast
        self._averaged = contextlib.nullcontext if average is None else average.in_place

    def __call__(self, part: Part, prefix: str) -> dict[str, float]:
        """Metrics of `part`, in evaluation mode and without gradients; the model's mode is restored."""
        outputs = self.predict(part.inputs)
        values = {"loss": float(self._loss(outputs, part.targets))}
        if self._data.classes is not None:
            values |= evaluation.classification(outputs, part.targets)
        else:
            scale, mean = self._data.target_scale, self._data.target_mean
            predicted = outputs.squeeze(1).double() * scale + mean
            values |= evaluation.regression(predicted, part.targets.double() * scale + mean)
        return {f"{prefix}_{name}": value for name, value in values.items()}

    def predict(self, inputs: Tensor) -> Tensor:
        """Outputs of the model for all `inputs`, float32 [N, K]."""
        training = self._module.training
        self._module.eval()
        size = max(1, BATCH_VALUES // max(1, inputs[0].numel()))
        try:
            with torch.no_grad(), self._autocast(), self._averaged():
                outputs = [self._model(self._ready(batch)) for batch in torch.split(inputs, size)]
        finally:
            self._module.train(training)
        return torch.cat(outputs).float()

    def _ready(self, batch: Tensor) -> Tensor:
        return batch if self._data.normalize is None else self._data.normalize(batch)
