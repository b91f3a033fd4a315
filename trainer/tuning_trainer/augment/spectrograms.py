"""SpecAugment: spans of time and bands of frequencies of a spectrogram are blanked."""

from __future__ import annotations

import torch
from torch import Tensor

from tuning_trainer.config.augment import Augment


class SpectrogramChange:
    """On standardised [B, 1, T, F], so that blanking with 0 puts in the mean. Each sample gets masks of its own."""

    def __init__(self, augment: Augment) -> None:
        self._masks = (
            (2, augment.time_masks, augment.time_width),
            (3, augment.frequency_masks, augment.frequency_width),
        )

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `Change`."""
        blank = torch.zeros((), dtype=torch.bool, device=inputs.device)
        for axis, count, widest in self._masks:
            if count:
                masks = _spans(len(inputs), inputs.shape[axis], count, widest, inputs.device)
                blank = blank | (masks[:, None, :, None] if axis == 2 else masks[:, None, None, :])
        return inputs.masked_fill(blank, 0.0), targets


def _spans(samples: int, length: int, count: int, widest: int, device: torch.device) -> Tensor:
    """[samples, length], true within any of `count` spans of 0 to `widest` places."""
    widths = torch.rand(samples, count, device=device) * (min(widest, length) + 1)
    widths = widths.floor()
    starts = (torch.rand(samples, count, device=device) * (length - widths + 1)).floor()
    places = torch.arange(length, device=device)[None, None, :]
    inside = (places >= starts[:, :, None]) & (places < (starts + widths)[:, :, None])
    return inside.any(dim=1)
