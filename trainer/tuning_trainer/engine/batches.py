"""The batches of an epoch. Their order depends on the seed and the epoch alone, so that a resumed epoch goes on where
it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from tuning_trainer.data.prepared import Part
from tuning_trainer.engine.feed import feed
from tuning_trainer.engine.world import World

GATHER_BYTES = 256 * 2**20
"""Training parts up to this size are put in order once an epoch; larger ones are indexed batch by batch."""


class Batches:
    """Serves a training part in random batches of equal size; the last may be smaller, but never a single sample.

    A lone last sample is added to the batch before it: batch normalisation cannot use it.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int | Literal["full"],
        *,
        seed: int,
        normalize: Callable[[Tensor], Tensor] | None,
        change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        world: World | None = None,
    ) -> None:
        """`change` is done at random to each batch, before `normalize`, when it is fetched and no earlier. Of several
        processes each gets its share of a batch, or any one sample where there are fewer samples than processes.
        """
        self._part = part
        self._seed = seed
        self._normalize = normalize
        self._change = change
        self._world = world or World()
        self.sizes = batch_sizes(len(part), batch_size)

    def __len__(self) -> int:
        return len(self.sizes)

    def epoch(self, epoch: int) -> Callable[[int], tuple[Tensor, Tensor]]:
        """The batches of `epoch` (from 0) by position: position -> inputs [B, ...] and targets [B] of this
        process."""
        fetch: Callable[[int], tuple[Tensor, Tensor]]
        inputs, targets = self._part.inputs, self._part.targets
        whole = len(self.sizes) == 1 and self._world.size == 1
        if not self._part.resident:
            count = len(self._part)
            order = torch.arange(count) if whole else permutation(count, seed=self._seed, epoch=epoch)
            fetch = feed(self._part, [self._own(rows) for rows in torch.split(order, self.sizes)])
        elif whole:
            fetch = lambda position: (inputs, targets)  # noqa: E731
        else:
            order = permutation(len(self._part), seed=self._seed, epoch=epoch).to(inputs.device)
            if inputs.numel() * inputs.element_size() <= GATHER_BYTES and self._world.size == 1:
                fetch = _ready(torch.split(inputs[order], self.sizes), torch.split(targets[order], self.sizes))
            else:
                fetch = _gathered(inputs, targets, [self._own(rows) for rows in torch.split(order, self.sizes)])
        normalize, change = self._normalize, self._change
        if normalize is None and change is None:
            return fetch

        def ready(position: int) -> tuple[Tensor, Tensor]:
            x, y = fetch(position)
            if change is not None:
                x, y = change(x, y)
            return (x if normalize is None else normalize(x)), y

        return ready

    def _own(self, rows: Tensor) -> Tensor:
        own = rows[self._world.share(len(rows))]
        return own if len(own) else rows[:1]


def batch_sizes(count: int, batch_size: int | Literal["full"]) -> list[int]:
    """The sizes of the batches of `count` samples."""
    size = count if batch_size == "full" else min(batch_size, count)
    sizes = [size] * (count // size)
    rest = count % size
    if rest == 1 and size > 1:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def permutation(count: int, *, seed: int, epoch: int) -> Tensor:
    """The order of the samples in an epoch: int64 [count] on the CPU, a function of the arguments alone."""
    generator = torch.Generator()
    generator.manual_seed((seed * 1_000_003 + epoch + 1) % 2**63)
    return torch.randperm(count, generator=generator)


def _ready(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Callable[[int], tuple[Tensor, Tensor]]:
    return lambda position: (inputs[position], targets[position])


def _gathered(inputs: Tensor, targets: Tensor, rows: Sequence[Tensor]) -> Callable[[int], tuple[Tensor, Tensor]]:
    return lambda position: (inputs[rows[position]], targets[rows[position]])
