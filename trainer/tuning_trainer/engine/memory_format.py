"""How the weights of convolutions lie in memory. It changes speed, and results only by rounding."""

from __future__ import annotations

import torch
from torch import nn

from tuning_trainer.config import SettingError
from tuning_trainer.data.layout import Layout


def channels_last(module: nn.Module, layout: Layout) -> nn.Module:
    """The module with its weights of four dimensions in NHWC order; images follow them at the first convolution.

    Raises `SettingError` where samples are no images.
    """
    if len(layout.shape) != 3:
        raise SettingError(
            f"runtime.channels_last is true, but a sample has the shape {list(layout.shape)} and is no image; "
            "leave it out"
        )
    return module.to(memory_format=torch.channels_last)
