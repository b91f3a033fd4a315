"""The multi-layer perceptron."""

from __future__ import annotations

import math

from torch import nn

from tuning_trainer.config import model as settings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens
from tuning_trainer.models.activations import ACTIVATIONS

_NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Mlp(nn.Sequential):
    """Flatten, then `layers` times (linear, norm, activation, dropout), then a linear layer: [N, *shape] -> [N,
    outputs]. Of tokens, the first layer takes the shares of each one in a sample.
    """

    def __init__(self, model: settings.Mlp, *, layout: Layout, outputs: int) -> None:
        parts: list[nn.Module] = []
        size = math.prod(layout.shape)
        if layout.vocabulary is None:
            parts.append(nn.Flatten())
        elif not model.layers:
            parts.append(tokens.bag(layout.vocabulary, model.width))
            size = model.width
        for layer in range(model.layers):
            first = layer == 0 and layout.vocabulary is not None
            parts.append(tokens.bag(layout.vocabulary or 0, model.width) if first else nn.Linear(size, model.width))
            if model.norm != "none":
                parts.append(_NORMS[model.norm](model.width))
            parts.append(ACTIVATIONS[model.activation]())
            if model.dropout:
                parts.append(nn.Dropout(model.dropout))
            size = model.width
        parts.append(nn.Linear(size, outputs))
        super().__init__(*parts)
