"""The Transformer decoder: a language model, or a classifier of the last position."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens
from tuning_trainer.models.attention import Block, Rotary
from tuning_trainer.models.transformer import DEVIATION


class Decoder(nn.Module):
    """Tokens through blocks of causal attention; then each position, or the last token of a sample, through a linear
    layer. With `tie` this layer is the embedding itself.
    """

    def __init__(self, model: settings.Decoder, *, layout: Layout, outputs: int) -> None:
        """Raises `SettingError` for samples that are no tokens."""
        super().__init__()
        if layout.vocabulary is None:
            raise SettingError(
                "model.name is 'decoder' but samples of the data are no tokens; use data text or language, or the "
                "model transformer"
            )
        (length,) = layout.shape
        rotary = None
        if model.positions == "rotary":
            size = model.width // model.heads
            if size % 2:
                raise SettingError(
                    f"model.positions is 'rotary' but model.width / model.heads is {size}; it must be even"
                )
            rotary = Rotary(size, length=length)
        self.each = layout.causal
        self.embed = tokens.embedding(layout.vocabulary, model.width, deviation=DEVIATION)
        self.positions = nn.Parameter(torch.randn(length, model.width) * DEVIATION) if rotary is None else None
        self.dropout = nn.Dropout(model.dropout)
        self.blocks = nn.Sequential(*(Block(model, causal=True, rotary=rotary) for _ in range(model.layers)))
        self.norm = nn.LayerNorm(model.width)
        self.head = None if layout.causal and model.tie else nn.Linear(model.width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, T] -> [N, T, outputs] for a language model, else [N, outputs]."""
        vectors = self.embed(inputs)
        if self.positions is not None:
            vectors = vectors + self.positions[: inputs.shape[1]]
        vectors = self.norm(self.blocks(self.dropout(vectors)))
        if not self.each:
            vectors = tokens.last(vectors, tokens.valid(inputs))
        if self.head is None:
            return functional.linear(vectors, self.embed.weight[1:])  # padding is never predicted
        return self.head(vectors)  # type: ignore[no-any-return]
