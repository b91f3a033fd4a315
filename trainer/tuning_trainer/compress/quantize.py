"""From trained weights to whole numbers: which layers, in what form, and with what ranges of their inputs.

Works on copies; the model in training is never touched. Only linear layers, convolutions and embeddings have numbers of
few bits: biases, norms and the cells of recurrent networks stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tuning_trainer.compress import binary
from tuning_trainer.compress.affine import between, symmetric
from tuning_trainer.compress.rounded import (
    ACTIVATION_BITS,
    Rounded,
    RoundedConvolution,
    RoundedEmbedding,
    RoundedLayer,
    RoundedLinear,
    Rows,
    round_to_nearest,
)
from tuning_trainer.config.compress import Quantize
from tuning_trainer.config.errors import SettingError

Forward = Callable[[nn.Module], None]
"""Runs a model over samples, so that the ranges of its layers' inputs can be seen."""

FOUR_BITS: Any = torch.int4  # type: ignore[attr-defined]  # torch has it, its types do not
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


def chosen(module: nn.Module, settings: Quantize) -> tuple[str, ...]:
    """The layers that are rounded, by name. Raises `SettingError` where there is none."""
    names = [name for name, part in module.named_modules() if _is_plain(part)]
    if settings.keep_ends:
        names = names[1:-1]
    if not names:
        raise SettingError(
            f"compress.quantize.bits is {settings.bits}, but the model has no linear layer, convolution or embedding "
            + ("between its first and its last; set keep_ends to false" if settings.keep_ends else "; set it to 32")
        )
    return tuple(names)


def quantized(module: nn.Module, names: tuple[str, ...], settings: Quantize, *, forward: Forward) -> nn.Module:
    """A copy of a plain `module` whose layers `names` are rounded; `forward` is asked for static ranges only."""
    made = copy.deepcopy(module)
    made.requires_grad_(False).eval()
    ranges: Mapping[str, Tensor] = {}
    if settings.activations == "static" and settings.bits != 1:
        ranges = seen_ranges(made, names, forward)
    for name in names:
        layer = made.get_submodule(name)
        replace(made, name, _rounded_layer(layer, settings, ranges.get(name)))
    return made


def restored(module: nn.Module) -> nn.Module:
    """A copy of a quantised model with plain layers, whose weights are what the numbers stand for."""
    made = copy.deepcopy(module)
    for name, part in list(made.named_modules()):
        rounded = rounded_of(part)
        if rounded is not None:
            replace(made, name, _plain(part, rounded.restore()))
    return made


def rounded_of(layer: nn.Module) -> Rounded | None:
    """The numbers of a layer; None where it has none."""
    if isinstance(layer, RoundedLayer):
        return layer.rounded
    weight: Any = getattr(layer, "weight", None)
    if not isinstance(layer, nn.Linear) or not hasattr(weight, "qdata"):
        return None
    if hasattr(weight, "target_dtype"):  # torchao's IntxUnpackedToInt8Tensor, here of 4 bits
        activations = "float" if weight.activation_quantization is None else "dynamic"
        return Rounded(4, weight.qdata, weight.scale, activations)  # type: ignore[arg-type]
    if weight.act_quant_kwargs is None:
        return Rounded(8, weight.qdata, weight.scale)
    if weight.act_quant_scale is None:
        return Rounded(8, weight.qdata, weight.scale, "dynamic")
    known = torch.stack([weight.act_quant_scale.reshape(()), weight.act_quant_zero_point.reshape(()).float()])
    return Rounded(8, weight.qdata, weight.scale, "static", known)


def layer_of(layer: nn.Module, rounded: Rounded) -> nn.Module:
    """A layer like `layer`, a plain one, with the numbers `rounded`."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return RoundedConvolution(layer, rounded)
    if isinstance(layer, nn.Embedding):
        return RoundedEmbedding(layer, rounded)
    assert isinstance(layer, nn.Linear)
    if rounded.bits == 1 or is_column(layer):
        return RoundedLinear(layer, rounded)
    return _with_torchao(layer, rounded)


def replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Puts `layer` in the place of the one called `name`."""
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, layer)


def is_column(layer: nn.Linear) -> bool:
    """A layer of one input, as numbers of a table have it; torchao finds no ranges of such weights."""
    return layer.in_features == 1


def seen_ranges(module: nn.Module, names: tuple[str, ...], forward: Forward) -> dict[str, Tensor]:
    """The scale and the zero of each layer's inputs, [2], over all that `forward` sends through."""
    least: dict[str, Tensor] = {}
    greatest: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = torch.aminmax(inputs[0].detach().float())
            least[name] = torch.minimum(least.get(name, low), low)
            greatest[name] = torch.maximum(greatest.get(name, high), high)

        return see

    watched = [n for n in names if not isinstance(module.get_submodule(n), nn.Embedding)]
    hooks = [module.get_submodule(name).register_forward_pre_hook(watch(name)) for name in watched]
    try:
        with torch.no_grad():
            forward(module)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, low in least.items():
        affine = between(low, greatest[name], ACTIVATION_BITS)
        found[name] = torch.stack([1 / affine.q, affine.b])
    return found


def _is_plain(part: nn.Module) -> bool:
    """Exactly torch's own: what is derived from one may use its weight in ways of its own."""
    return type(part) in KINDS and getattr(part, "padding_mode", "zeros") == "zeros"


def _rounded_layer(layer: nn.Module, settings: Quantize, known: Tensor | None) -> nn.Module:
    if isinstance(layer, nn.Linear) and settings.bits != 1 and not is_column(layer):
        return _by_torchao(layer, settings, known)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if settings.bits == 1:
        scale = binary.scale(weight)
        return layer_of(layer, Rounded(1, round_to_nearest(weight, scale, 1), scale))
    scale = 1 / symmetric(weight, settings.bits).q.flatten()[:, None]
    activations = "float" if isinstance(layer, nn.Embedding) else settings.activations
    numbers = round_to_nearest(weight, scale, settings.bits)
    return layer_of(layer, Rounded(settings.bits, numbers, scale, activations, known))


def _by_torchao(layer: nn.Linear, settings: Quantize, known: Tensor | None) -> nn.Module:
    from torchao.quantization import quantize_

    if settings.activations == "static" and settings.bits == 8:
        rows = Rows(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        rows.weight, rows.bias = layer.weight, layer.bias
        layer = rows
    holder = nn.Sequential(layer)
    quantize_(holder, base_config(layer, settings, known))
    return holder[0]


def base_config(layer: nn.Linear, settings: Quantize, known: Tensor | None = None) -> Any:
    """torchao's configuration for one layer. Its 4 bits know no static ranges; they take dynamic ones."""
    from torchao import quantization as ao

    asymmetric = ao.MappingType.ASYMMETRIC
    reduce = _must_reduce(layer.weight.device)
    if settings.bits == 4:
        granularity = weight_granularity(layer, settings)
        if settings.activations == "float":
            return ao.IntxWeightOnlyConfig(weight_dtype=FOUR_BITS, granularity=granularity)
        return ao.Int8DynamicActivationIntxWeightConfig(weight_dtype=FOUR_BITS, weight_granularity=granularity)
    if settings.activations == "float":
        return ao.Int8WeightOnlyConfig(granularity=ao.PerRow(), set_inductor_config=False)
    if settings.activations == "dynamic":
        return ao.Int8DynamicActivationInt8WeightConfig(
            granularity=ao.PerRow(), act_mapping_type=asymmetric, set_inductor_config=False, reduce_range=reduce
        )
    assert known is not None
    return ao.Int8StaticActivationInt8WeightConfig(
        act_quant_scale=known[0].view(1, 1),
        act_quant_zero_point=known[1].to(torch.int8).view(1, 1),
        granularity=[ao.PerTensor(), ao.PerRow()],
        act_mapping_type=asymmetric,
        set_inductor_config=False,
        reduce_range=False,
    )


def weight_granularity(layer: nn.Linear, settings: Quantize) -> Any:
    """How many weights of a layer of 4 bits share a scale, as torchao says it."""
    from torchao.quantization import PerAxis, PerGroup

    group = settings.group
    return PerAxis(0) if group is None or layer.in_features % group else PerGroup(group)


def _with_torchao(layer: nn.Linear, rounded: Rounded) -> nn.Module:
    """The same tensors of torchao that `_by_torchao` makes, from stored numbers."""
    from torchao.quantization import Int8Tensor, IntxUnpackedToInt8Tensor, MappingType, PerRow, PerTensor
    from torchao.quantization.quantize_.workflows.int8.int8_tensor import QuantizeTensorToInt8Kwargs

    block = [1, rounded.numbers.shape[1] // rounded.scale.shape[1]]
    weight: Any
    zeros = torch.zeros_like(rounded.scale, dtype=torch.int8)
    if rounded.bits == 4:
        dynamic = None if rounded.activations == "float" else "int8_asym_per_token"
        weight = IntxUnpackedToInt8Tensor(
            rounded.numbers, rounded.scale, zeros, FOUR_BITS, tuple(block), torch.float32, dynamic
        )
    else:
        kwargs, scale, zero = None, None, None
        if rounded.activations == "dynamic":
            reduce = _must_reduce(rounded.numbers.device)
            kwargs = QuantizeTensorToInt8Kwargs(PerRow(), MappingType.ASYMMETRIC, reduce)
        elif rounded.range is not None:
            kwargs = QuantizeTensorToInt8Kwargs(PerTensor(), MappingType.ASYMMETRIC, False)
            scale, zero = rounded.range[0].view(1, 1), rounded.range[1].to(torch.int8).view(1, 1)
        weight = Int8Tensor(
            rounded.numbers,
            rounded.scale,
            block,
            torch.float32,
            zero_point=zeros,
            act_quant_scale=scale,
            act_quant_zero_point=zero,
            act_quant_kwargs=kwargs,
            reduce_range=kwargs.reduce_range if kwargs is not None else False,
        )
    kind = Rows if rounded.activations == "static" else nn.Linear
    made = kind(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
    made.weight = nn.Parameter(weight, requires_grad=False)
    made.bias = layer.bias
    return made


def _must_reduce(device: torch.device) -> bool:
    from torchao.utils import should_reduce_range

    return bool(should_reduce_range(device))


def _plain(layer: nn.Module, weight: Tensor) -> nn.Module:
    """A layer of torch's with `weight`, of the form of the rounded `layer`."""
    made: Any
    if isinstance(layer, RoundedEmbedding):
        made = nn.Embedding(weight.shape[0], weight.shape[1], device="meta")
    elif isinstance(layer, RoundedConvolution):
        kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
        inputs = weight.shape[1] * layer.form["groups"]
        made = kind(inputs, weight.shape[0], tuple(weight.shape[2:]), bias=False, device="meta", **layer.form)
    else:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    made.weight = nn.Parameter(weight)
    bias = getattr(layer, "bias", None)
    if isinstance(bias, Tensor):
        made.bias = nn.Parameter(bias.detach().clone())
    return made  # type: ignore[no-any-return]
