"""The affine map between numbers and whole numbers: n = round(x * q + b), within what the bits hold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-12
"""The smallest range: a channel of zeros stays one."""


@dataclass(frozen=True, slots=True)
class Affine:
    """n = round(x * q + b), and back x = (n - b) / q. `q` and `b` have a shape that spreads over that of x."""

    q: Tensor
    b: Tensor
    low: int
    high: int

    def quantize(self, values: Tensor) -> Tensor:
        """Whole numbers from `low` to `high`, as floats. Halves go to the even number, as everywhere in torch."""
        return torch.clamp(torch.round(values * self.q + self.b), self.low, self.high)

    def restore(self, numbers: Tensor) -> Tensor:
        """What the numbers stand for."""
        return (numbers - self.b) / self.q

    def pass_through(self, values: Tensor) -> Tensor:
        """The values as they come back; gradients go straight through where nothing was cut off, and stop elsewhere."""
        inside = torch.clamp(values, (self.low - self.b) / self.q, (self.high - self.b) / self.q)
        return inside + (self.restore(self.quantize(values)) - inside).detach()


def bounds(bits: int) -> tuple[int, int]:
    """The least and the greatest signed whole number of so many bits."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def symmetric(weights: Tensor, bits: int) -> Affine:
    """For weights [O, ...]: a `q` for each output, the largest size at the greatest number; zero stays zero, b = 0."""
    low, high = bounds(bits)
    largest = weights.detach().abs().flatten(1).amax(dim=1).clamp_min(EPSILON)
    q = (high / largest).view(-1, *[1] * (weights.dim() - 1))
    return Affine(q, torch.zeros_like(q), low, high)


def between(least: Tensor, greatest: Tensor, bits: int) -> Affine:
    """For values from `least` to `greatest`: the whole range of numbers is used, and zero is one of them exactly."""
    low, high = bounds(bits)
    least, greatest = least.clamp_max(0), greatest.clamp_min(0)
    q = (high - low) / (greatest - least).clamp_min(EPSILON)
    return Affine(q, torch.clamp(torch.round(low - least * q), low, high), low, high)


def of_samples(values: Tensor, bits: int) -> Affine:
    """For values [N, ...]: the range of each sample."""
    flat = values.detach().flatten(1)
    shape = (-1, *[1] * (values.dim() - 1))
    return between(flat.amin(dim=1).view(shape), flat.amax(dim=1).view(shape), bits)
