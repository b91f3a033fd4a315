"""The gradients of one batch: as a whole, or in parts that are added up; in mixed precision; again and smaller where
memory does not suffice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from tuning_trainer.engine.failures import is_out_of_memory
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.weighted import amount


class Backward:
    """Leaves the gradients of a batch's mean loss in the weights."""

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        loss: LossFunction,
        *,
        room: Room,
        autocast: Callable[[], AbstractContextManager[object]],
        scaler: Scaler | None,
    ) -> None:
        self._model = model
        self._loss = loss
        self._room = room
        self._autocast = None if autocast is contextlib.nullcontext else autocast
        self._scaler = scaler

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the batch, without its graph. Raises what the model raises; running out of memory only when
        a single sample does not fit.
        """
        before = self._room.keep()
        while True:
            samples = min(len(targets), self._room.micro_batch or len(targets))
            try:
                return self._whole(inputs, targets) if samples == len(targets) else self._parts(inputs, targets)
            except Exception as error:
                if samples <= 1 or not is_out_of_memory(error):
                    raise
            self._room.shrink(before, samples=samples)  # outside, where the failed pass is no longer held

    def _whole(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self._loss_of(inputs, targets)
        torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))
        return loss.detach()

    def _parts(self, inputs: Tensor, targets: Tensor) -> Tensor:
        size = self._room.micro_batch or len(targets)
        whole = amount(self._loss, targets)
        total = torch.zeros((), device=targets.device)
        for some, wanted in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
            loss = self._loss_of(some, wanted) * (amount(self._loss, wanted) / whole)
            torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))
            total += loss.detach()
        return total

    def _loss_of(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if self._autocast is None:
            return self._loss(self._model(inputs), targets)
        with self._autocast():
            return self._loss(self._model(inputs), targets)
