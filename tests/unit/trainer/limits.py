"""Makes the memory for training passes as small as told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tuning_trainer import models

Refuses = Callable[[int], bool]
"""Samples of one pass -> whether memory does not suffice for it."""

_build = models.build


def limit_memory(most: int | Refuses) -> None:
    """From now on models run out of memory at the end of a training pass, when random numbers were drawn and running
    statistics were changed.
    """
    refuses: Refuses = (lambda count: count > most) if isinstance(most, int) else most

    def build(*args: Any, **named: Any) -> nn.Module:
        module = _build(*args, **named)

        def end(module: nn.Module, inputs: tuple[torch.Tensor], outputs: torch.Tensor) -> None:
            if module.training and refuses(len(outputs)):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        module.register_forward_hook(end)
        return module

    models.build = build


def unlimited() -> None:
    """Models are as they are."""
    models.build = _build
