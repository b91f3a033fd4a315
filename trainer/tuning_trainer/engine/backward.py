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
from tuning_trainer.engine.parallel import Parallel
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.weighted import WeightedMean, amount


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
        parallel: Parallel,
    ) -> None:
        self._model = model
        self._loss = loss
        self._room = room
        self._autocast = None if autocast is contextlib.nullcontext else autocast
        self._scaler = scaler
        self._parallel = parallel
        self._world = parallel.world

    def __call__(self, inputs: Tensor, targets: Tensor, count: int) -> Tensor:
        """What this process has of the mean loss of a batch of `count`, without its graph: with several processes
        the mean is the sum over them.

        Raises what the model raises; running out of memory only when a single sample does not fit, or when other
        processes wait in the middle of the pass.
        """
        before = self._room.keep()
        while True:
            samples = min(len(targets), self._room.micro_batch or len(targets))
            try:
                if self._world.size == 1 and samples == len(targets):
                    return self._whole(inputs, targets)
                return self._parts(inputs, targets, count)
            except Exception as error:
                if samples <= 1 or not self._parallel.retries or not is_out_of_memory(error):
                    raise
            self._room.shrink(before, samples=samples)  # outside, where the failed pass is no longer held

    def _whole(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self._loss_of(inputs, targets)
        torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))
        return loss.detach()

    def _parts(self, inputs: Tensor, targets: Tensor, count: int) -> Tensor:
        """As many parts in every process, since all wait for all: one that has fewer goes through samples that do not
        count.
        """
        world = self._world
        size = self._room.micro_batch or world.most(count)
        own = len(range(count)[world.share(count)])
        parts = list(zip(torch.split(inputs, size), torch.split(targets, size), strict=True)) if own else []
        whole = self._amount(targets, own, count)
        total = torch.zeros((), device=targets.device)
        for number in range(number_of_parts := max(len(parts), -(-world.most(count) // size))):
            some, wanted = parts[number] if number < len(parts) else (inputs[:1], targets[:1])
            share = amount(self._loss, wanted) / whole if number < len(parts) else 0.0
            with self._parallel.part(number == number_of_parts - 1):
                loss = self._loss_of(some, wanted) * share
                scaled = loss if world.size == 1 else loss * world.size  # gradients of several are averaged
                torch.autograd.backward(scaled if self._scaler is None else self._scaler.scale(scaled))
            total += loss.detach()
        return total

    def _amount(self, targets: Tensor, own: int, count: int) -> Tensor | int:
        """What the whole batch counts."""
        if not isinstance(self._loss, WeightedMean):
            return count if self._world.size > 1 else len(targets)
        weight = self._loss.amount(targets) if own else targets.new_zeros((), dtype=torch.float32)
        return self._world.sum(weight) if isinstance(weight, Tensor) else count

    def _loss_of(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if self._autocast is None:
            return self._loss(self._model(inputs), targets)
        with self._autocast():
            return self._loss(self._model(inputs), targets)
