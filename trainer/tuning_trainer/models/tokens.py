"""What models of tokens share: which positions hold one, and means and ends over these. 0 fills up and never counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PADDING = 0


def embedding(vocabulary: int, width: int, *, deviation: float = 1.0) -> nn.Embedding:
    """A vector for each token, normally distributed; that of the padding is 0 and stays so."""
    layer = nn.Embedding(vocabulary, width, padding_idx=PADDING)
    with torch.no_grad():
        layer.weight.mul_(deviation)
    return layer


def valid(tokens: Tensor) -> Tensor:
    """Where [N, T] tokens are some: bool [N, T]. The first position always counts, so that no sample is empty."""
    return (tokens != PADDING) | (torch.arange(tokens.shape[1], device=tokens.device) == 0)


def mean(vectors: Tensor, there: Tensor) -> Tensor:
    """The mean of [N, T, width] over the positions that are `there`."""
    weights = there.to(vectors.dtype).unsqueeze(2)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1)


def last(vectors: Tensor, there: Tensor) -> Tensor:
    """The vectors [N, width] at the last position that is `there`."""
    places = torch.arange(there.shape[1], device=there.device)
    ends = (places * there).argmax(dim=1)
    return vectors.gather(1, ends[:, None, None].expand(-1, 1, vectors.shape[2])).squeeze(1)


def bag(vocabulary: int, width: int) -> nn.EmbeddingBag:
    """The mean of the vectors of all tokens of a sample, wherever they stand: [N, T] -> [N, width]."""
    return nn.EmbeddingBag(vocabulary, width, mode="mean", padding_idx=PADDING)
