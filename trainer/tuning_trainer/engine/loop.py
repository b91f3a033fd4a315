"""The training loop: steps, epochs, and where in them it is.

A step does what a hand-written loop does and nothing else; whatever can be is done once an epoch. The state between
any two steps is complete, so that a stopped training goes on bit by bit as if it had not been stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuning_trainer.engine.backward import Backward
from tuning_trainer.engine.batches import Batches
from tuning_trainer.engine.failures import DivergedError
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.parallel import Parallel
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.light import light_step
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.schedule import Factor
from tuning_trainer.optim.schedule_free import PROGRESS, ScheduleFree
from tuning_trainer.privacy.batches import PoissonBatches
from tuning_trainer.privacy.training import Private

CHECK_EVERY = 256
"""Steps between two looks at whether the loss is still finite, in epochs longer than that."""


@dataclass(slots=True)
class Progress:
    """Where a training is."""

    epoch: int = 0
    """Epochs completed."""
    position: int = 0
    """Batches of the current epoch done."""
    step: int = 0
    """Steps done."""


class Loop:
    """Trains a model one epoch at a time."""

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        module: nn.Module,
        parallel: Parallel,
        optimizer: Optimizer,
        batches: Batches | PoissonBatches,
        loss: LossFunction,
        factor: Factor | None,
        adjust: Callable[[], None] | None,
        after: Callable[[], None] | None = None,
        average: Average | ScheduleFree | None = None,
        room: Room,
        scaler: Scaler | None = None,
        autocast: Callable[[], AbstractContextManager[object]],
        should_stop: Callable[[], bool],
    ) -> None:
        """`model` is `module` as `parallel` has it, or its compiled form; `factor` is the schedule; `adjust` changes
        gradients before a step, `after` weights after one; `room` says how much of a batch is computed at once.
        """
        self._module = module
        self._optimizer = optimizer
        self._batches = batches
        self._factor = factor
        self._adjust = adjust
        self._after = after
        self.average = average
        self.room = room
        self._scaler = scaler
        self.private = optimizer if isinstance(optimizer, Private) else None
        self._backward = (
            self.private
            if self.private is not None
            else Backward(model, loss, room=room, autocast=autocast, scaler=scaler, parallel=parallel)
        )
        self._parallel = parallel
        self._should_stop = should_stop
        self._step = light_step(optimizer) if scaler is None else None
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._shapes = [p.shape for p in self._parameters]  # as they are now: layers may be made smaller later
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._sum = torch.zeros((), device=self._parameters[0].device)
        self.progress = Progress()

    @property
    def steps(self) -> int:
        """Steps done, of everything that is trained."""
        return self.progress.step

    def epoch(self) -> float | None:
        """Trains to the end of the current epoch; its mean loss, or None when asked to stop before that.

        Raises `DivergedError` when the loss is not finite.
        """
        progress, batches, sizes = self.progress, self._batches, self._batches.sizes
        fetch = batches.epoch(progress.epoch)
        should_stop, total, train = self._should_stop, self._sum, self._train
        self._module.train()
        for position in range(progress.position, len(batches)):
            inputs, targets = fetch(position)
            if self._factor is not None:
                self._set_rate(self._factor(progress.step))
            total.add_(train(inputs, targets, sizes[position]), alpha=sizes[position])
            progress.position += 1
            progress.step += 1
            if progress.position % CHECK_EVERY == 0:
                self._mean_loss(progress.position)
            if should_stop() and progress.position < len(batches):
                return None
        self._parallel.after_epoch()
        mean = self._mean_loss(len(batches))
        total.zero_()
        progress.epoch += 1
        progress.position = 0
        return mean

    def _train(self, inputs: Tensor, targets: Tensor, count: int) -> Tensor:
        """One step; what this process has of the mean loss of the batch before it."""
        loss = self._backward(inputs, targets, count)
        if self._step is None:
            self._scaler.step(self._adjust)  # type: ignore[union-attr]
        else:
            if self._adjust is not None:
                self._adjust()
            self._step()
        self._parallel.after_step(self.progress.step)
        if self._after is not None:
            self._after()
        if self.average is not None:
            self.average.update()
        for parameter in self._parameters:
            parameter.grad = None
        return loss

    def state(self) -> dict[str, Any]:
        """Everything the rest of the training depends on, for a checkpoint."""
        random: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self._sum.is_cuda:
            random["cuda"] = torch.cuda.get_rng_state()
        return {
            "model": self._module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": [self.progress.epoch, self.progress.position, self.progress.step],
            "loss_sum": self._sum.clone(),
            "random": random,
            "micro_batch": self.room.micro_batch,
        } | _states({"average": self.average, "scaler": self._scaler})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`."""
        self._module.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(*state["progress"])
        self._parallel.restore(self.progress.step)
        self._sum.copy_(state["loss_sum"])
        self.room.restore(state["micro_batch"])
        if self._scaler is not None:
            self._scaler.restore(state["scaler"])
        if self.average is not None and "average" in state:
            self.average.restore(state["average"])
        torch.set_rng_state(state["random"]["cpu"].cpu())
        if self._sum.is_cuda and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"].cpu())

    def succeed(self, other: Loop) -> None:
        """Goes on where `other`, at the end of an epoch, is; with what its optimiser and its average remember where the
        weights still have the shapes they had.
        """
        self.progress = other.progress
        self.room.restore(other.room.micro_batch)
        if self._scaler is not None and other._scaler is not None:
            self._scaler.restore(other._scaler.state())
        if [p.shape for p in self._parameters] != other._shapes:
            return
        self._optimizer.load_state_dict(other._optimizer.state_dict())
        if self.average is not None and other.average is not None:
            self.average.restore(other.average.state())

    def inherit(self, state: Mapping[str, Any]) -> None:
        """Goes on from the `state` of another training: its weights and what its optimiser remembers, but the settings
        of this one. Begins at the last full epoch. An optimiser of another kind begins anew.
        """
        if self.private is not None:
            self.private.inherit(state["optimizer"])
        kept = {"params", *PROGRESS}
        own = [{name: value for name, value in group.items() if name not in kept} for group in self._groups()]
        fresh = self._optimizer.state_dict()
        if _kind(fresh) == _kind(state["optimizer"]):
            self._optimizer.load_state_dict(state["optimizer"])
            for group, settings in zip(self._groups(), own, strict=True):
                group.update(settings)
        self._module.load_state_dict(state["model"])
        epoch = state["progress"][0]
        self.progress = Progress(epoch, 0, epoch * len(self._batches))
        self._parallel.restore(self.progress.step)
        if self.average is not None and "average" in state:
            self.average.restore(state["average"])
        torch.set_rng_state(state["random"]["cpu"].cpu())
        if self._sum.is_cuda and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"].cpu())

    def _groups(self) -> list[dict[str, Any]]:
        return self._optimizer.param_groups

    def _mean_loss(self, batches: int) -> float:
        mean = float(self._parallel.world.sum(self._sum)) / sum(self._batches.sizes[:batches])
        if not math.isfinite(mean):
            progress = self.progress
            raise DivergedError(f"the training loss is {mean} in epoch {progress.epoch + 1}, step {progress.step}")
        return mean

    def _set_rate(self, factor: float) -> None:
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor


def _states(parts: Mapping[str, Average | ScheduleFree | Scaler | None]) -> dict[str, Any]:
    return {name: part.state() for name, part in parts.items() if part is not None}


def _kind(state: Mapping[str, Any]) -> object:
    """What two states of optimisers share if the one can go on from the other: groups, weights, names of settings."""
    if "both" in state:
        return [_kind(each) for each in state["both"]]
    return [(sorted(group), group["params"]) for group in state["param_groups"]]
