"""Recall and normalised discounted cumulative gain of ranked lists, for choices that are made or not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def ranking(scores: Tensor, chosen: Tensor, lengths: Sequence[int]) -> Tensor:
    """Recall and NDCG [2, lengths, N] of the items with the highest of `scores` [N, items], minus infinity for what is
    no candidate, for what was `chosen` [N, M], filled up with -1 and never empty.

    Recall: the share of the chosen that is in the list. NDCG: each hit counts 1 / log2(1 + place), as a share of what
    the best list of that length gets.
    """
    found, items = scores.topk(min(max(lengths), scores.shape[1]), dim=1)
    hits = ((items[:, :, None] == chosen[:, None, :]).any(dim=2) & found.isfinite()).to(torch.float64)
    count = (chosen >= 0).sum(dim=1)
    longest = max(lengths)
    discounts = 1 / torch.arange(2, longest + 2, device=scores.device, dtype=torch.float64).log2()
    gains = hits * discounts[: hits.shape[1]]
    best = discounts.cumsum(dim=0)
    recall = [hits[:, :length].sum(dim=1) / count for length in lengths]
    ndcg = [gains[:, :length].sum(dim=1) / best[count.clamp(max=length) - 1] for length in lengths]
    return torch.stack([torch.stack(recall), torch.stack(ndcg)])
