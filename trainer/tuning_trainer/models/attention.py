"""A block of self-attention and feed-forward layer, on scaled dot-product attention; what Transformers are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.models.activations import ACTIVATIONS


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each normalised before and added to its input."""

    def __init__(
        self,
        model: settings.Transformer | settings.Decoder,
        *,
        causal: bool = False,
        rotary: Rotary | None = None,
    ) -> None:
        """`causal`: each position sees itself and the earlier ones."""
        super().__init__()
        if model.width % model.heads:
            raise SettingError(f"model.width is {model.width}; it must be a multiple of model.heads, {model.heads}")
        inner = max(1, round(model.width * model.feed_forward))
        self.heads = model.heads
        self.share = model.dropout
        self.causal = causal
        self.rotary = rotary
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

    def forward(self, vectors: Tensor, mask: Tensor | None = None) -> Tensor:
        """[N, T, width] -> [N, T, width]; `mask`, broadcast to [N, heads, T, T], is true where a key may be seen."""
        vectors = vectors + self.dropout(self.after_attention(self._attend(self.before_attention(vectors), mask)))
        return vectors + self.feed_forward(vectors)  # type: ignore[no-any-return]

    def _attend(self, vectors: Tensor, mask: Tensor | None) -> Tensor:
        count, length, width = vectors.shape
        parts = self.queries_keys_values(vectors).view(count, length, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        if self.rotary is not None:
            queries, keys = self.rotary(queries), self.rotary(keys)
        share = self.share if self.training else 0.0
        found = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, dropout_p=share, is_causal=self.causal
        )
        return found.transpose(1, 2).reshape(count, length, width)


class Rotary(nn.Module):
    """Rotary positions (Su et al., 2021): pairs of numbers are turned by an angle that grows with the position, so that
    a product of two vectors depends on their distance.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, size: int, *, length: int, base: float = 10_000.0) -> None:
        """For vectors of `size` numbers, the first half of which is paired with the second."""
        super().__init__()
        angles = torch.outer(torch.arange(length), base ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("cosines", torch.cat([angles.cos()] * 2, dim=1), persistent=False)
        self.register_buffer("sines", torch.cat([angles.sin()] * 2, dim=1), persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """[..., T, size] -> the same."""
        length = vectors.shape[-2]
        first, second = vectors.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        return vectors * self.cosines[:length].to(vectors.dtype) + turned * self.sines[:length].to(vectors.dtype)
