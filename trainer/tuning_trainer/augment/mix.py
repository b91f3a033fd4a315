"""Mixup and cutmix: each sample with its neighbour in the batch. The order is random, so the neighbour is too."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional

from tuning_trainer.config.augment import Augment


class Mix:
    """Targets become shares of each class, [B, classes], or, without classes, the numbers between."""

    def __init__(self, augment: Augment, *, classes: int | None) -> None:
        self._classes = classes
        self._kinds = [
            (kind, Beta(torch.tensor(alpha), torch.tensor(alpha)))
            for kind, alpha in ((_mixup, augment.mixup), (_cutmix, augment.cutmix))
            if alpha
        ]

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `Change`."""
        chosen = int(torch.randint(len(self._kinds), ())) if len(self._kinds) > 1 else 0
        kind, distribution = self._kinds[chosen]
        mixed, share = kind(inputs.to(torch.float32), float(distribution.sample()))
        wanted = targets if self._classes is None else functional.one_hot(targets, self._classes).to(mixed.dtype)
        return mixed, wanted.roll(1, 0) * (1 - share) + wanted * share


def _mixup(inputs: Tensor, share: float) -> tuple[Tensor, float]:
    return inputs.roll(1, 0) * (1 - share) + inputs * share, share


def _cutmix(inputs: Tensor, share: float) -> tuple[Tensor, float]:
    """The share that is left of each sample's own area is what its target gets."""
    height, width = inputs.shape[-2:]
    column, row = (int(torch.randint(side, ())) for side in (width, height))
    half = 0.5 * math.sqrt(1 - share)
    left, right = max(column - int(half * width), 0), min(column + int(half * width), width)
    top, bottom = max(row - int(half * height), 0), min(row + int(half * height), height)
    mixed = inputs.clone()
    mixed[..., top:bottom, left:right] = inputs.roll(1, 0)[..., top:bottom, left:right]
    return mixed, 1 - (right - left) * (bottom - top) / (width * height)
