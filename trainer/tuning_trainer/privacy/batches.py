"""Batches by Poisson sampling: each sample is in each batch with the same probability, whatever the others are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from tuning_trainer.data.prepared import Part

Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class PoissonBatches:
    """Serves a training part like `engine.batches.Batches`. A batch may be of any size, even empty."""

    def __init__(
        self,
        part: Part,
        batch_size: int | Literal["full"],
        *,
        seed: int | None,
        normalize: Callable[[Tensor], Tensor] | None,
        change: Change | None = None,
    ) -> None:
        """Without a `seed` each batch is drawn anew, by the system's random numbers."""
        self._part = part
        self._seed = seed
        self._normalize = normalize
        self._change = change
        count = len(part)
        self.expected = count if batch_size == "full" else min(batch_size, count)
        """Mean size of a batch."""
        self.rate = self.expected / count
        """Probability of each sample."""
        self.sizes = [self.expected] * max(1, round(count / self.expected))

    def __len__(self) -> int:
        return len(self.sizes)

    def epoch(self, epoch: int) -> Callable[[int], tuple[Tensor, Tensor]]:
        """The batches of `epoch` (from 0) by position."""

        def fetch(position: int) -> tuple[Tensor, Tensor]:
            rows = self._drawn(epoch, position).to(self._part.device)
            inputs, targets = self._part.some(rows), self._part.targets[rows]
            if self._change is not None and len(rows):
                inputs, targets = self._change(inputs, targets)
            return (inputs if self._normalize is None else self._normalize(inputs)), targets

        return fetch

    def _drawn(self, epoch: int, position: int) -> Tensor:
        generator = torch.Generator()
        if self._seed is None:
            generator.seed()
        else:
            generator.manual_seed(((self._seed * 1_000_003 + epoch + 1) * 1_000_003 + position) % 2**63)
        return torch.nonzero(torch.rand(len(self._part), generator=generator) < self.rate).squeeze(1)
