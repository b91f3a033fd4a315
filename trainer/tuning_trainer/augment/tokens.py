"""Token dropout: some tokens of a text are left out, as if the text had never held them."""

from __future__ import annotations

import torch
from torch import Tensor


class TokenDropout:
    """The tokens that stay close up, in their order; the end is filled up with 0. At least one stays."""

    def __init__(self, share: float) -> None:
        self._share = share

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `Change`."""
        there = inputs != 0
        chance = torch.rand(inputs.shape, device=inputs.device)
        stays = there & (chance >= self._share)
        luckiest = chance.masked_fill(~there, -1.0).argmax(dim=1, keepdim=True)
        stays = stays.scatter(1, luckiest, True) & there
        order = torch.argsort((~stays).to(torch.uint8), dim=1, stable=True)
        return inputs.masked_fill(~stays, 0).gather(1, order), targets
