"""Running out of memory in a step is no end: the batch is computed in smaller parts, whose gradients are added up.

The step is the same step (but for batch normalisation, which sees the parts). Everything that a forward pass changes
is put back before it is tried again: random numbers and running statistics. Weights are changed by the optimiser
alone, which comes later.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STATISTICS = 2**16
"""Most numbers of a buffer that is taken for a running statistic; larger ones are tables that no pass changes."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a forward pass may change, as it was."""

    cpu: Tensor
    cuda: Tensor | None
    buffers: list[Tensor]


class Room:
    """How many samples go through the model at once, and the way back from a pass that did not fit."""

    def __init__(self, module: nn.Module, *, micro_batch: int | None, device: torch.device) -> None:
        self._wanted = micro_batch
        self.micro_batch = micro_batch
        """Most samples at once; None: the whole batch."""
        self._module = module
        self._cuda = device.type == "cuda"
        self._buffers = [buffer for buffer in module.buffers() if buffer.numel() <= STATISTICS]
        self._kept = [buffer.clone() for buffer in self._buffers]

    @property
    def reduced(self) -> bool:
        """Whether it is fewer than the settings say."""
        return self.micro_batch != self._wanted

    def keep(self) -> Before:
        """Remembers the state before a pass. Cheap: called at every step."""
        if self._buffers:
            with torch.no_grad():
                torch._foreach_copy_(self._kept, self._buffers)
        return Before(torch.get_rng_state(), torch.cuda.get_rng_state() if self._cuda else None, self._kept)

    def shrink(self, before: Before, *, samples: int) -> None:
        """Puts the state back as it was `before` a pass of `samples` that did not fit, and halves the parts."""
        for parameter in self._module.parameters():
            parameter.grad = None
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()
        if self._buffers:
            with torch.no_grad():
                torch._foreach_copy_(self._buffers, before.buffers)
        torch.set_rng_state(before.cpu)
        if before.cuda is not None:
            torch.cuda.set_rng_state(before.cuda)
        self.micro_batch = (samples + 1) // 2
        print(
            f"tuning_trainer: {samples} samples at once do not fit into memory; goes on with train.micro_batch "
            f"{self.micro_batch}, the step stays the same",
            file=sys.stderr,
            flush=True,
        )

    def restore(self, micro_batch: int | None) -> None:
        """From the checkpoint: what has not fitted once is not tried again."""
        self.micro_batch = micro_batch
