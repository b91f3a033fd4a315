"""The Transformer encoder, on scaled dot-product attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.models.activations import ACTIVATIONS
from tuning_trainer.models.sequence import AsSequence, sequence_of


class Transformer(nn.Module):
    """Each step becomes a vector with a learned position; after the blocks the mean of all goes through a linear
    layer.
    """

    def __init__(self, model: settings.Transformer, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        if model.width % model.heads:
            raise SettingError(f"model.width is {model.width}; it must be a multiple of model.heads, {model.heads}")
        length, size = sequence_of(shape, model=model.name)
        self.sequence = AsSequence()
        self.embed = nn.Linear(size, model.width)
        self.positions = nn.Parameter(torch.randn(length, model.width) * 0.02)
        self.blocks = nn.Sequential(*(Block(model) for _ in range(model.layers)))
        self.norm = nn.LayerNorm(model.width)
        self.head = nn.Linear(model.width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, ...] -> [N, outputs]."""
        vectors = self.embed(self.sequence(inputs)) + self.positions
        return self.head(self.norm(self.blocks(vectors)).mean(dim=1))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, model: settings.Transformer) -> None:
        super().__init__()
        inner = max(1, round(model.width * model.feed_forward))
        self.heads = model.heads
        self.share = model.dropout
        self.before_attention = nn.LayerNorm(model.width)
        self.queries_keys_values = nn.Linear(model.width, 3 * model.width)
        self.after_attention = nn.Linear(model.width, model.width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(model.width),
            nn.Linear(model.width, inner),
            ACTIVATIONS[model.activation](),
            nn.Linear(inner, model.width),
            nn.Dropout(model.dropout),
        )
        self.dropout = nn.Dropout(model.dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """[N, T, width] -> [N, T, width]."""
        vectors = vectors + self.dropout(self.after_attention(self._attend(self.before_attention(vectors))))
        return vectors + self.feed_forward(vectors)  # type: ignore[no-any-return]

    def _attend(self, vectors: Tensor) -> Tensor:
        count, length, width = vectors.shape
        parts = self.queries_keys_values(vectors).view(count, length, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        share = self.share if self.training else 0.0
        found = functional.scaled_dot_product_attention(queries, keys, values, dropout_p=share)
        return found.transpose(1, 2).reshape(count, length, width)
