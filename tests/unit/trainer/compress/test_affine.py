"""Numbers of few bits: the affine formula, single bits, layers and their training, each against formula or torchao."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.compress import aware, binary
from tuning_trainer.compress.affine import Affine, between, of_samples, symmetric
from tuning_trainer.compress.pack import pack, unpack
from tuning_trainer.compress.quantize import chosen, quantized, restored, rounded_of, seen_ranges
from tuning_trainer.config import SettingError
from tuning_trainer.config.compress import Quantize


def test_the_formula_by_hand() -> None:
    affine = Affine(torch.tensor(10.0), torch.tensor(3.0), -128, 127)
    values = torch.tensor([0.0, 0.14, 0.16, -1.0, 100.0, -100.0])
    numbers = affine.quantize(values)
    assert numbers.tolist() == [3, 4, 5, -7, 127, -128]
    assert torch.allclose(affine.restore(numbers), torch.tensor([0.0, 0.1, 0.2, -1.0, 12.4, -13.1]))


@pytest.mark.parametrize("bits", [4, 8])
def test_the_map_of_a_range_is_torchaos(bits: int) -> None:
    from torchao.quantization import MappingType, choose_qparams_affine, dequantize_affine, quantize_affine

    torch.manual_seed(0)
    values = torch.randn(6, 40)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    block = [1, 40]
    scale, zero = choose_qparams_affine(
        values, MappingType.ASYMMETRIC, block, torch.int8, low, high, zero_point_dtype=torch.int32
    )
    numbers = quantize_affine(values, block, scale, zero, torch.int8, low, high)
    ours = of_samples(values, bits)
    assert torch.allclose(1 / ours.q.flatten(), scale.flatten())
    assert torch.equal(ours.b.flatten().int(), zero.flatten().int())
    assert torch.equal(ours.quantize(values).to(torch.int8), numbers)
    back = dequantize_affine(numbers, block, scale, zero, torch.int8, low, high)
    assert torch.allclose(ours.restore(ours.quantize(values)), back, atol=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_error_is_at_most_half_a_step(bits: int) -> None:
    torch.manual_seed(0)
    weights = torch.randn(5, 3, 3, 3)
    affine = symmetric(weights, bits)
    step = 1 / affine.q
    assert ((affine.restore(affine.quantize(weights)) - weights).abs() <= step / 2 + 1e-6).all()
    assert affine.quantize(torch.zeros_like(weights)).abs().max() == 0


def test_zero_is_a_number_even_outside_the_range() -> None:
    affine = between(torch.tensor(2.0), torch.tensor(5.0), 8)
    assert affine.restore(affine.quantize(torch.tensor(0.0))) == 0


def test_gradients_pass_through_where_nothing_is_cut_off() -> None:
    values = torch.tensor([0.3, 20.0, -20.0], requires_grad=True)
    Affine(torch.tensor(10.0), torch.tensor(0.0), -128, 127).pass_through(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 0, 0]


def test_a_bit_is_the_sign_and_the_scale_the_best_there_is() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 6)
    scale = binary.scale(weight)
    assert torch.allclose(scale.flatten(), weight.abs().mean(dim=1))

    def error(of: Tensor) -> Tensor:
        return (weight - of * weight.sign()).square().sum(dim=1)

    assert (error(scale) < error(scale * 1.01)).all()
    assert (error(scale) < error(scale * 0.99)).all()


def test_gradients_of_a_bit_pass_through_up_to_one() -> None:
    weight = torch.tensor([[0.5, -0.9, 1.5, -3.0]], requires_grad=True)
    found = binary.pass_through(weight)
    assert torch.allclose(found, torch.tensor([[1.475, -1.475, 1.475, -1.475]]))
    found.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1, 1, 0, 0]]


def a_model() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.Flatten(), nn.Linear(8 * 2 * 2, 10))
    return nn.Sequential(*layers)


def of(model: nn.Module, settings: Quantize, samples: Tensor) -> nn.Module:
    return quantized(model, chosen(model, settings), settings, forward=lambda module: module(samples))


@pytest.mark.parametrize("activations", ["float", "dynamic", "static"])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_linear_layer_is_torchaos(bits: Any, activations: Any) -> None:
    from torchao import quantization as ao
    from torchao.utils import should_reduce_range

    torch.manual_seed(0)
    layer, samples = nn.Linear(32, 8), torch.randn(20, 32)
    settings = Quantize(bits=bits, activations=activations, group=16)
    mapping = ao.MappingType.ASYMMETRIC
    config: Any
    if bits == 4:
        four: Any = torch.int4  # type: ignore[attr-defined]
        kind = ao.IntxWeightOnlyConfig if activations == "float" else ao.Int8DynamicActivationIntxWeightConfig
        key = "granularity" if activations == "float" else "weight_granularity"
        config = kind(weight_dtype=four, **{key: ao.PerGroup(16)})
    elif activations == "float":
        config = ao.Int8WeightOnlyConfig(granularity=ao.PerRow())
    elif activations == "dynamic":
        reduce = should_reduce_range(layer.weight.device)
        config = ao.Int8DynamicActivationInt8WeightConfig(
            granularity=ao.PerRow(), act_mapping_type=mapping, reduce_range=reduce
        )
    else:
        known = between(samples.min(), samples.max(), 8)
        config = ao.Int8StaticActivationInt8WeightConfig(
            act_quant_scale=(1 / known.q).view(1, 1),
            act_quant_zero_point=known.b.to(torch.int8).view(1, 1),
            granularity=[ao.PerTensor(), ao.PerRow()],
            act_mapping_type=mapping,
        )
    reference = nn.Sequential(copy.deepcopy(layer))
    ao.quantize_(reference, config)
    ours = of(nn.Sequential(layer), settings, samples)
    assert torch.allclose(ours(samples), reference(samples), atol=1e-5)
    assert (ours(samples) - layer(samples)).abs().max() < (0.05 if bits == 8 else 0.5)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_convolution_computes_with_whole_numbers(bits: Any) -> None:
    """The same sums in 64-bit integers, scaled afterwards."""
    torch.manual_seed(0)
    layer, samples = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.randn(5, 3, 6, 6)
    made = of(nn.Sequential(layer), Quantize(bits=bits, activations="static"), samples)
    rounded = rounded_of(made[0])  # type: ignore[index]
    assert rounded is not None
    assert rounded.range is not None
    scale, zero = rounded.range
    numbers = torch.clamp(torch.round(samples / scale + zero), -128, 127).double() - zero
    whole = functional.conv2d(numbers, rounded.numbers.double(), padding=1)
    want = whole * scale * rounded.scale.view(1, -1, 1, 1)
    assert torch.allclose(made(samples).double(), want, atol=1e-5)


def test_ranges_are_those_of_all_samples() -> None:
    model, samples = a_model(), torch.randn(32, 1, 8, 8)
    found = seen_ranges(model, ("0", "2", "4"), lambda module: [module(half) for half in samples.chunk(2)] and None)
    want = between(samples.min(), samples.max(), 8)
    assert torch.allclose(found["0"], torch.stack([1 / want.q, want.b]))
    assert found["2"][1] == -128  # after a ReLU the least is zero


@pytest.mark.parametrize("bits", [8, 4, 1])
def test_training_with_rounded_numbers_computes_what_is_delivered(bits: Any) -> None:
    model, samples = a_model(), torch.randn(16, 1, 8, 8)
    settings = Quantize(bits=bits, activations="float", group=None)
    names = chosen(model, settings)
    want = of(model, settings, samples)(samples)
    trained = copy.deepcopy(model)
    parameters = list(trained.parameters())
    aware.prepare(trained, names, settings)
    assert all(a is b for a, b in zip(parameters, trained.parameters(), strict=True))  # the optimiser's own
    found = trained(samples)
    assert torch.allclose(found, want, atol=0.02 * float(want.abs().max()))
    assert (found - model(samples)).abs().max() > (found - want).abs().max()
    found.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in parameters)
    plain = aware.plain(trained)
    assert torch.equal(plain(samples), model(samples))
    assert [type(part) for part in plain.modules()] == [type(part) for part in model.modules()]


@pytest.mark.parametrize("activations", ["float", "dynamic", "static"])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_layer_of_one_input_keeps_its_weights_and_trains(bits: Any, activations: Any) -> None:
    torch.manual_seed(0)
    model, samples = nn.Sequential(nn.Linear(1, 5), nn.Linear(5, 2)), torch.randn(7, 3, 1)
    with torch.no_grad():
        model[0].weight[1] = 0  # pruned; of such a row there is no range
    settings = Quantize(bits=bits, activations=activations)
    made = of(model, settings, samples)
    assert torch.allclose(made[0](samples), model[0](samples), atol=0.03)
    assert torch.allclose(restored(made)[0].weight, model[0].weight)
    again = unpack(pack(made), copy.deepcopy(model))
    assert torch.equal(again(samples), made(samples))
    aware.prepare(model, ("0",), settings)
    model(samples).square().mean().backward()
    assert model[0].weight.grad is not None
    assert torch.isfinite(model[0].weight.grad).all()


def test_restored_layers_hold_what_the_numbers_stand_for() -> None:
    model, samples = a_model(), torch.randn(16, 1, 8, 8)
    made = of(model, Quantize(bits=4, activations="float"), samples)
    back = restored(made)
    assert [type(part) for part in back.modules()] == [type(part) for part in model.modules()]
    assert torch.allclose(back(samples), made(samples), atol=1e-5)
    assert len(back[0].weight[0].unique()) <= 16  # type: ignore[index]


def test_ends_can_keep_their_bits() -> None:
    assert chosen(a_model(), Quantize(bits=8, keep_ends=True)) == ("2",)
    with pytest.raises(SettingError, match="no linear layer, convolution or embedding between its first and its last"):
        chosen(nn.Sequential(nn.Linear(2, 2)), Quantize(bits=8, keep_ends=True))
