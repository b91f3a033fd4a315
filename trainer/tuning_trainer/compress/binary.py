"""Weights of one bit: the sign, times one number for each output (XNOR-Net, Rastegari et al., 2016).

The number is the mean size of the output's weights, which is the best one: it minimises the squared difference.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scale(weight: Tensor) -> Tensor:
    """The number of each output of `weight` [O, ...]: [O, 1]. Pruned weights, which stay zero, do not count."""
    sizes = weight.detach().abs().flatten(1)
    return (sizes.sum(dim=1) / (sizes != 0).sum(dim=1).clamp_min(1))[:, None]


def pass_through(weight: Tensor) -> Tensor:
    """The weights as one bit and a scale; gradients go straight through where |w| <= 1, and stop elsewhere."""
    inside = torch.clamp(weight, -1, 1)
    signs = torch.sign(weight.detach()) * scale(weight).view(-1, *[1] * (weight.dim() - 1))
    return inside + (signs - inside).detach()
