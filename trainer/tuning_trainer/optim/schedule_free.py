"""Schedule-free optimisers (Defazio et al., 2024), by their authors' package: they train one point and judge another.

A step is taken at y, between the average x, which is what the method is proven for, and the sequence z. The model holds
y while it trains; `ScheduleFree` puts x in its place where it is judged or kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuning_trainer.config import optimizer as settings

PROGRESS: Final = frozenset({"k", "train_mode", "weight_sum", "lr_max", "scheduled_lr"})
"""What a group of theirs counts, beside its settings."""


def build(optimizer: settings.ScheduleFreeSgd | settings.ScheduleFreeAdamW, groups: list[dict[str, Any]]) -> Optimizer:
    """The optimiser, ready to train."""
    import schedulefree

    if isinstance(optimizer, settings.ScheduleFreeSgd):
        built = schedulefree.SGDScheduleFree(groups, lr=optimizer.lr, momentum=optimizer.momentum)
    else:
        betas = (optimizer.beta1, optimizer.beta2)
        built = schedulefree.AdamWScheduleFree(groups, lr=optimizer.lr, betas=betas, eps=optimizer.epsilon)
    built.train()
    return built  # type: ignore[no-any-return]


class ScheduleFree:
    """The average x of such an optimiser, with the methods of `optim.average.Average`."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._weights: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]

    def update(self) -> None:
        """Nothing: the optimiser averages in its step."""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model has the average for its weights; not to be trained meanwhile. Afterwards its weights are
        bit by bit those from before, which going back and forth by the optimiser's own arithmetic would not give.
        """
        with torch.no_grad():
            kept = [weight.detach().clone() for weight in self._weights]
            self._optimizer.eval()
            try:
                yield
            finally:
                for weight, before in zip(self._weights, kept, strict=True):  # sharded ones have no _foreach_copy_
                    weight.copy_(before)
                for group in self._optimizer.param_groups:
                    group["train_mode"] = True

    def settle(self) -> None:
        """Takes the model's weights for the average, and trains on from there."""
        for weight in self._weights:
            state = self._optimizer.state[weight]
            if "z" in state:
                state["z"].copy_(weight.detach())

    def state(self) -> dict[str, Any]:
        """Nothing for the checkpoint: it is in the optimiser's state."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `state`."""
