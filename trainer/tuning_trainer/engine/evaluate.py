"""Runs the model over one part of the data and gives its metrics by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.engine.failures import CutShortError
from tuning_trainer.engine.feed import feed
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.schedule_free import ScheduleFree

BATCH_VALUES = 16 * 2**20
"""Numbers of an evaluation batch, in or out; bounds memory, and small parts go through in one batch."""


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
        average: Average | ScheduleFree | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """With an `average`, that is what is evaluated. `stopped` is asked before each batch whether to end early."""
        self._model = model
        self._module = module
        self._data = data
        self._loss = loss
        self._autocast = autocast
        self._stopped = stopped
        self._averaged = contextlib.nullcontext if average is None else average.in_place

    def __call__(self, part: Part, prefix: str) -> dict[str, float]:
        """Metrics of `part`, in evaluation mode and without gradients; the model's mode is restored. Raises
        `CutShortError` when asked to stop.
        """
        meter = self._data.task.meter(self._loss)
        size = self._size(part.inputs)
        for outputs, targets in zip(
            self._outputs(self._batches(part, size)), torch.split(part.targets, size), strict=True
        ):
            meter.add(outputs, targets)
        return {f"{prefix}_{name}": value for name, value in meter.values().items()}

    def of(self, module: nn.Module) -> Evaluator:
        """The same evaluation of another model, as it is."""
        return Evaluator(
            module, module=module, data=self._data, loss=self._loss, autocast=self._autocast, stopped=self._stopped
        )

    def predict(self, part: Part) -> Tensor:
        """Outputs of the model for all inputs of `part`, float32 [N, ...]."""
        return torch.cat(list(self._outputs(self._batches(part, self._size(part.inputs)))))

    def _batches(self, part: Part, size: int) -> Iterable[Tensor]:
        if part.resident:
            return torch.split(part.inputs, size)
        rows = torch.split(torch.arange(len(part)), size)
        fetch = feed(part, rows)
        return (fetch(position)[0] for position in range(len(rows)))

    def _outputs(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        training = self._module.training
        self._module.eval()
        try:
            with torch.no_grad(), self._averaged():
                for batch in batches:
                    if self._stopped():
                        raise CutShortError
                    with self._autocast():
                        outputs = self._model(self._ready(batch))
                    yield outputs.float()
        finally:
            self._module.train(training)

    def _size(self, inputs: Tensor) -> int:
        positions = self._data.layout.shape[0] if self._data.layout.causal else 1
        return batch_size(inputs, outputs=positions * self._data.task.outputs)

    def _ready(self, batch: Tensor) -> Tensor:
        return batch if self._data.normalize is None else self._data.normalize(batch)


def batch_size(inputs: Tensor, *, outputs: int) -> int:
    """Samples of one evaluation batch, of which each has `outputs` numbers as its answer."""
    return max(1, BATCH_VALUES // max(1, inputs[0].numel(), outputs))
