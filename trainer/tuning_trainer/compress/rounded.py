"""Layers whose weights are whole numbers. Linear layers of 8 and 4 bits are torch's own with weights of torchao, which
has their kernels; convolutions, embeddings and single bits are here.

Numbers of a convolution and its inputs are rounded exactly as integers would be and multiplied as floats, as torch has
no integer convolution for all devices: the same values, the same size, but not the speed of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.compress.affine import Affine, bounds, of_samples

Activations = Literal["float", "dynamic", "static"]
ACTIVATION_BITS = 8


@dataclass(frozen=True, slots=True)
class Rounded:
    """The weights of a layer as whole numbers: weight = numbers * scale."""

    bits: int
    numbers: Tensor
    """int8 [O, ...], whatever the bits."""
    scale: Tensor
    """float32 [O, G]: for each output and each of G groups of inputs."""
    activations: Activations = "float"
    range: Tensor | None = None
    """float32 [2]: for static activations the scale of the inputs, and the number that stands for zero."""

    def restore(self) -> Tensor:
        """The weights as floats."""
        outputs, groups = self.scale.shape
        values = self.numbers.to(self.scale.dtype).reshape(outputs, groups, -1) * self.scale[:, :, None]
        return values.reshape(self.numbers.shape)


class RoundedLayer(nn.Module):
    """A layer with weights in few bits, made from one of torch's."""

    numbers: Tensor
    scale: Tensor
    range: Tensor | None
    floats: Tensor

    def __init__(self, layer: nn.Module, rounded: Rounded) -> None:
        super().__init__()
        self.bits = rounded.bits
        self.activations: Activations = rounded.activations
        self.register_buffer("numbers", rounded.numbers)
        self.register_buffer("scale", rounded.scale)
        self.register_buffer("range", rounded.range)
        self.register_buffer("floats", rounded.restore(), persistent=False)  # made once, not at each pass
        bias = getattr(layer, "bias", None)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False) if isinstance(bias, Tensor) else None

    @property
    def rounded(self) -> Rounded:
        """The weights."""
        return Rounded(self.bits, self.numbers, self.scale, self.activations, self.range)

    @property
    def weight(self) -> Tensor:
        """What the numbers stand for, for those who use the weights of a layer in ways of their own."""
        return self.floats

    def incoming(self, inputs: Tensor) -> Tensor:
        """The inputs as this layer sees them."""
        if self.activations == "float":
            return inputs
        affine = affine_of(inputs, self.range)
        return affine.restore(affine.quantize(inputs))


class RoundedLinear(RoundedLayer):
    """A linear layer."""

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, I] -> [N, O]."""
        return functional.linear(self.incoming(inputs), self.weight.to(inputs.dtype), self.bias)


class RoundedConvolution(RoundedLayer):
    """A convolution in one or two dimensions."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d, rounded: Rounded) -> None:
        super().__init__(layer, rounded)
        self.form: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, I, ...] -> [N, O, ...]."""
        convolve: Any = functional.conv1d if self.numbers.dim() == 3 else functional.conv2d
        weight = self.weight.to(inputs.dtype)
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        found: Tensor = convolve(self.incoming(inputs), weight, bias, **self.form)
        return found


class RoundedEmbedding(RoundedLayer):
    """A table of vectors."""

    def forward(self, inputs: Tensor) -> Tensor:
        """int64 [...] -> [..., D]."""
        return functional.embedding(inputs, self.weight)


class Rows(nn.Linear):
    """A linear layer that sees all its inputs as one matrix, as torchao's static ranges need it."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        return super().forward(input.reshape(-1, input.shape[-1])).reshape(*input.shape[:-1], -1)


def affine_of(inputs: Tensor, known: Tensor | None) -> Affine:
    """The map of a layer's inputs to 8 bits: of a `known` range, else of each sample."""
    if known is None:
        return of_samples(inputs, ACTIVATION_BITS)
    low, high = bounds(ACTIVATION_BITS)
    return Affine(1 / known[0], known[1], low, high)


def round_to_nearest(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """int8 numbers of `weight` [O, ...] for the `scale` [O, 1] of each output; 1 bit is the sign, and zero is zero."""
    shape = (-1, *[1] * (weight.dim() - 1))
    if bits == 1:
        return torch.sign(weight).to(torch.int8)
    low, high = bounds(bits)
    return torch.clamp(torch.round(weight / scale.view(shape)), low, high).to(torch.int8)
