"""How many floating-point operations a model takes for one sample, as torch counts them: matrix products, convolutions
and attention, two for each product and sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def flops(module: nn.Module, sample: Tensor) -> dict[str, float]:
    """`flops` for a batch of one sample; `module` has plain layers, as whole numbers are not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(sample)
    return {"flops": float(counter.get_total_flops())}
