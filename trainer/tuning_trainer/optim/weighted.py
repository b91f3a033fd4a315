"""How much a part of a batch counts in the mean loss of the whole, so that parts add up to exactly that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """A loss that is a mean weighted by the targets."""

    loss: Callable[[Tensor, Tensor], Tensor]
    """Outputs and targets -> weighted mean."""
    amount: Callable[[Tensor], Tensor | int]
    """Targets -> the sum of their weights."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The weighted mean."""
        return self.loss(outputs, targets)


def amount(loss: Callable[[Tensor, Tensor], Tensor], targets: Tensor) -> Tensor | int:
    """What `targets` count in a mean by `loss`: their number, unless the loss weighs them."""
    return loss.amount(targets) if isinstance(loss, WeightedMean) else len(targets)
