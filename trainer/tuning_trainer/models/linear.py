"""Linear regression; with a cross-entropy loss, logistic regression."""

from __future__ import annotations

import math

from torch import nn

from tuning_trainer.config import model as settings


class Linear(nn.Sequential):
    """Flattened inputs times one matrix, [N, *shape] -> [N, outputs]."""

    def __init__(self, model: settings.Linear, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(math.prod(shape), outputs, bias=model.bias))
