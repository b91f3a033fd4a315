"""Batch normalisation over the batches of all processes, so that it sees the batch that the settings name. torch's own
works on GPUs only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise(module: nn.Module) -> bool:
    """Lets every batch normalisation in `module` normalise over all processes while training; whether there is any.

    Names, weights and evaluation stay what they were.
    """
    found = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    for part in found:
        kind: Any = type(part)
        part.__class__ = _synchronised(kind)
    return bool(found)


@cache
def _synchronised(kind: Any) -> type[_BatchNorm]:
    """The class of a normalisation of this kind that asks the other processes."""

    def forward(self: Any, inputs: Tensor) -> Tensor:
        return _normalise(self, inputs) if self.training else kind.forward(self, inputs)

    return type(f"Synchronised{kind.__name__}", (kind,), {"forward": forward})


def _normalise(norm: _BatchNorm, inputs: Tensor) -> Tensor:
    """[N, C, ...] -> the same, by mean and variance over all processes; updates the running statistics."""
    values = inputs.float()
    dims = [0, *range(2, values.dim())]
    shape = [1, -1] + [1] * (values.dim() - 2)
    own = values.new_tensor([values.numel() / values.shape[1]])
    totals = _sum(torch.cat([values.sum(dims), own]))
    count = totals[-1].detach()
    mean = totals[:-1] / count
    centred = values - mean.view(shape)
    variance = _sum(centred.square().sum(dims)) / count
    _remember(norm, mean.detach(), variance.detach() * count / (count - 1))
    found = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        found = found * norm.weight.view(shape) + norm.bias.view(shape)
    return found.to(inputs.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


def _sum(values: Tensor) -> Tensor:
    return _Sum.apply(values)  # type: ignore[no-any-return]


def _summed(values: Tensor) -> Tensor:
    import torch.distributed as dist

    total = values.contiguous().clone()
    dist.all_reduce(total)
    return total


def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)
