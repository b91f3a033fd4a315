"""The step of fp16 training: the loss is scaled before backward, the gradients are brought back before the step.

torch's own scaler does the arithmetic; its state belongs in the checkpoint. A step whose gradients overflowed is left
out, which is no error: the scale falls and finds its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuning_trainer.optim.light import light_step


class Scaler:
    """Scales losses and steps an optimiser by the gradients of scaled losses."""

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type)
        self._optimizer = optimizer
        optimizer.step = light_step(optimizer)  # type: ignore[method-assign, assignment]  # what the scaler calls

    def scale(self, loss: Tensor) -> Tensor:
        """What backward is to begin from."""
        return self._scaler.scale(loss)

    def step(self, adjust: Callable[[], None] | None) -> None:
        """One step; `adjust` sees the gradients as they are."""
        if adjust is not None:
            self._scaler.unscale_(self._optimizer)
            adjust()
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self._scaler.load_state_dict(dict(state))
