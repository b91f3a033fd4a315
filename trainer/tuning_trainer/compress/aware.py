"""Training with rounded numbers: layers that compute as the quantised model will, while their weights stay floats.

The layers keep their names and parameters, so that checkpoints and optimisers do not see the difference.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.compress import binary
from tuning_trainer.compress.affine import of_samples, symmetric
from tuning_trainer.compress.quantize import FOUR_BITS, is_column, replace, weight_granularity
from tuning_trainer.compress.rounded import ACTIVATION_BITS
from tuning_trainer.config.compress import Quantize


class Aware:
    """What the layers here share."""

    bits: int
    rounds_inputs: bool

    def rounded(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and weight as the quantised layer has them."""
        if self.bits == 1:
            return inputs, binary.pass_through(weight)
        seen = of_samples(inputs, ACTIVATION_BITS).pass_through(inputs) if self.rounds_inputs else inputs
        return seen, symmetric(weight, self.bits).pass_through(weight)


class AwareLinear(Aware, nn.Linear):
    """A linear layer with weights of one bit, or of one input, for which torchao finds no ranges."""

    def forward(self, input: Tensor) -> Tensor:
        """See `nn.Linear`."""
        return functional.linear(*self.rounded(input, self.weight), self.bias)


class AwareConv1d(Aware, nn.Conv1d):
    """A convolution in one dimension."""

    def forward(self, input: Tensor) -> Tensor:
        """See `nn.Conv1d`."""
        found: Tensor = self._conv_forward(*self.rounded(input, self.weight), self.bias)
        return found


class AwareConv2d(Aware, nn.Conv2d):
    """A convolution in two dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """See `nn.Conv2d`."""
        found: Tensor = self._conv_forward(*self.rounded(input, self.weight), self.bias)
        return found


def prepare(module: nn.Module, names: tuple[str, ...], settings: Quantize) -> None:
    """Makes the layers `names` compute with rounded numbers. Embeddings are rounded at the end only."""
    for name in names:
        layer = module.get_submodule(name)
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            kind = AwareConv1d if isinstance(layer, nn.Conv1d) else AwareConv2d
            replace(module, name, _aware(layer, kind, settings))
        elif isinstance(layer, nn.Linear):
            replace(module, name, _linear(layer, settings))


def plain(module: nn.Module) -> nn.Module:
    """A copy of `module` whose layers compute with their weights as they are."""
    last: Any
    for last in module.modules():
        if hasattr(last, "zero_point"):  # a range that torchao saw last, part of a graph that cannot be copied
            last.scale = last.zero_point = None
    made = copy.deepcopy(module)
    for name, part in list(made.named_modules()):
        kind = _plain_kind(part)
        if kind is not None:
            replace(made, name, _like(part, kind))
    return made


def _linear(layer: nn.Linear, settings: Quantize) -> nn.Module:
    if settings.bits == 1 or is_column(layer):
        return _aware(layer, AwareLinear, settings)
    from torchao.quantization import quantize_
    from torchao.quantization.granularity import PerAxis
    from torchao.quantization.qat import IntxFakeQuantizeConfig, QATConfig

    inputs = IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False)
    four = settings.bits == 4
    granularity = weight_granularity(layer, settings) if four else PerAxis(0)
    weights = IntxFakeQuantizeConfig(FOUR_BITS if four else torch.int8, granularity, is_symmetric=True)
    holder = nn.Sequential(layer)
    rounds = None if settings.activations == "float" else inputs
    quantize_(holder, QATConfig(activation_config=rounds, weight_config=weights, step="prepare"))
    return holder[0]


def _aware(layer: nn.Module, kind: type[nn.Module], settings: Quantize) -> nn.Module:
    made: Any = _like(layer, kind)
    made.bits = settings.bits
    made.rounds_inputs = settings.activations != "float"
    return made  # type: ignore[no-any-return]


def _plain_kind(part: nn.Module) -> type[nn.Module] | None:
    if isinstance(part, AwareConv1d):
        return nn.Conv1d
    if isinstance(part, AwareConv2d):
        return nn.Conv2d
    if isinstance(part, nn.Linear) and (isinstance(part, AwareLinear) or hasattr(part, "weight_fake_quantizer")):
        return nn.Linear
    return None


def _like(layer: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A layer of `kind` with the parameters of `layer`, the same objects."""
    made: Any
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        made = kind(layer.in_features, layer.out_features, bias=bias, device="meta")
    else:
        assert isinstance(layer, nn.Conv1d | nn.Conv2d)
        made = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=bias,
            device="meta",
        )
    made.weight, made.bias = layer.weight, layer.bias
    made.train(layer.training)
    return made  # type: ignore[no-any-return]
