"""The multi-layer perceptron."""

from __future__ import annotations

import math

from torch import nn

from tuning_trainer.config import model as settings
from tuning_trainer.models.activations import ACTIVATIONS

_NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Mlp(nn.Sequential):
    """Flatten, then `layers` times (linear, norm, activation, dropout), then a linear layer: [N, *shape] -> [N,
    outputs].
    """

    def __init__(self, model: settings.Mlp, *, shape: tuple[int, ...], outputs: int) -> None:
        parts: list[nn.Module] = [nn.Flatten()]
        size = math.prod(shape)
        for _ in range(model.layers):
            parts.append(nn.Linear(size, model.width))
            if model.norm != "none":
                parts.append(_NORMS[model.norm](model.width))
            parts.append(ACTIVATIONS[model.activation]())
            if model.dropout:
                parts.append(nn.Dropout(model.dropout))
            size = model.width
        parts.append(nn.Linear(size, outputs))
        super().__init__(*parts)
