"""Linear regression; with a cross-entropy loss, logistic regression."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tuning_trainer.config import model as settings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens


class Linear(nn.Sequential):
    """Flattened inputs times one matrix, [N, *shape] -> [N, outputs]; of tokens, the shares of each one in a sample."""

    def __init__(self, model: settings.Linear, *, layout: Layout, outputs: int) -> None:
        if layout.vocabulary is None:
            super().__init__(nn.Flatten(), nn.Linear(math.prod(layout.shape), outputs, bias=model.bias))
            return
        matrix = tokens.bag(layout.vocabulary, outputs)
        nn.init.zeros_(matrix.weight)
        super().__init__(matrix, *([Bias(outputs)] if model.bias else []))


class Bias(nn.Module):
    """Adds one number to each output."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, outputs] -> [N, outputs]."""
        return inputs + self.bias
