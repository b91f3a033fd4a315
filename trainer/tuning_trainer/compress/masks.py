"""Magnitude pruning of single weights: which stay. The sizes |w| choose, so that L1 and L2 norm choose the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Masks = dict[str, Tensor]
"""Name of a weight -> what stays of it, bool of its shape."""


def prunable(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are pruned, by name: those of more than one dimension, so neither biases nor norms."""
    return {name: p for name, p in module.named_parameters() if p.dim() > 1 and p.requires_grad}


def magnitude_masks(weights: Mapping[str, Tensor], share: float, *, scope: Literal["model", "layer"]) -> Masks:
    """Masks that drop the `share` of smallest size, of all weights together or of each layer.

    What is zero already is smallest, so that what was dropped once stays dropped as the share rises.
    """
    sizes = {name: weight.detach().abs() for name, weight in weights.items()}
    if scope == "layer":
        return {name: _kept(size.flatten(), share).view_as(size) for name, size in sizes.items()}
    if not sizes:
        return {}
    kept = _kept(torch.cat([size.flatten() for size in sizes.values()]), share)
    parts = torch.split(kept, [size.numel() for size in sizes.values()])
    return {name: part.view_as(size) for (name, size), part in zip(sizes.items(), parts, strict=True)}


def _kept(sizes: Tensor, share: float) -> Tensor:
    """False for the round(share * n) smallest, exactly as many."""
    kept = torch.ones_like(sizes, dtype=torch.bool)
    dropped = round(share * sizes.numel())
    if dropped:
        kept[torch.topk(sizes, dropped, largest=False).indices] = False
    return kept
