"""The Transformer encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tuning_trainer.config import model as settings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens
from tuning_trainer.models.attention import Block
from tuning_trainer.models.sequence import AsSequence, sequence_of

DEVIATION = 0.02
"""Deviation of the first vectors of tokens and positions."""


class Transformer(nn.Module):
    """Each step becomes a vector with a learned position; after the blocks the mean of all goes through a linear
    layer. Of tokens, padding is neither seen nor part of the mean.
    """

    def __init__(self, model: settings.Transformer, *, layout: Layout, outputs: int) -> None:
        super().__init__()
        length, size = sequence_of(layout.shape, model=model.name)
        self.of_tokens = layout.vocabulary is not None
        self.sequence = AsSequence()
        self.embed: nn.Module = nn.Linear(size, model.width)
        if layout.vocabulary is not None:
            self.embed = tokens.embedding(layout.vocabulary, model.width, deviation=DEVIATION)
        self.positions = nn.Parameter(torch.randn(length, model.width) * DEVIATION)
        self.blocks = nn.Sequential(*(Block(model) for _ in range(model.layers)))
        self.norm = nn.LayerNorm(model.width)
        self.head = nn.Linear(model.width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, ...] -> [N, outputs]."""
        if self.of_tokens:
            return self._of_tokens(inputs)
        vectors = self.embed(self.sequence(inputs)) + self.positions
        return self.head(self.norm(self.blocks(vectors)).mean(dim=1))  # type: ignore[no-any-return]

    def _of_tokens(self, inputs: Tensor) -> Tensor:
        there = tokens.valid(inputs)
        vectors = self.embed(inputs) + self.positions[: inputs.shape[1]]
        for block in self.blocks:
            vectors = block(vectors, there[:, None, None, :])
        return self.head(tokens.mean(self.norm(vectors), there))  # type: ignore[no-any-return]
