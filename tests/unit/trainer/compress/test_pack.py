"""The file of a compressed model: it becomes the same model again, and takes the space it should."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tuning_trainer.compress.masks import magnitude_masks, prunable
from tuning_trainer.compress.pack import pack, unpack
from tuning_trainer.compress.quantize import chosen, quantized
from tuning_trainer.config.compress import Quantize

HEAD = 1600
"""Bytes of names and shapes, at most, of these models."""


def a_model() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(1, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 64),
        nn.Linear(64, 10),
    )
    return nn.Sequential(*layers).eval()


def with_zeros(model: nn.Module, share: float) -> nn.Module:
    with torch.no_grad():
        for name, mask in magnitude_masks(prunable(model), share, scope="model").items():
            model.get_parameter(name).mul_(mask)
    return model


def of(model: nn.Module, settings: Quantize, samples: Tensor) -> nn.Module:
    return quantized(model, chosen(model, settings), settings, forward=lambda module: module(samples))


@pytest.mark.parametrize("share", [0.0, 0.9])
@pytest.mark.parametrize(
    "settings",
    [
        Quantize(bits=8),
        Quantize(bits=8, activations="static"),
        Quantize(bits=8, activations="float"),
        Quantize(bits=4, activations="float"),
        Quantize(bits=4),
        Quantize(bits=1),
        Quantize(bits=8, keep_ends=True),
    ],
    ids=lambda s: f"{s.bits} bits, {s.activations}{', ends kept' if s.keep_ends else ''}",
)
def test_it_gives_the_same_outputs_again(settings: Quantize, share: float) -> None:
    samples = torch.randn(9, 1, 8, 8)
    model = of(with_zeros(a_model(), share), settings, samples)
    again = unpack(pack(model), a_model())
    assert torch.equal(again(samples), model(samples))
    assert pack(again) == pack(model)


def test_a_plain_model_is_stored_as_it_is() -> None:
    model = a_model()
    body = pack(model)
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert weights < len(body) < weights + HEAD
    again = unpack(body, a_model())
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("bits", "share", "bytes_each"),
    [
        pytest.param(32, 0.8, 1 / 8 + 0.2 * 4, id="pruned: a bit each, and four bytes of one in five"),
        pytest.param(8, 0.0, 1, id="8 bits"),
        pytest.param(4, 0.0, 1 / 2, id="4 bits"),
        pytest.param(1, 0.0, 1 / 8, id="1 bit"),
        pytest.param(8, 0.9, 1 / 8 + 0.1, id="8 bits, pruned"),
    ],
)
def test_the_bytes_of_a_weight(bits: Any, share: float, bytes_each: float) -> None:
    model = with_zeros(a_model(), share)
    weights = sum(weight.numel() for weight in prunable(model).values())
    if bits != 32:
        model = of(model, Quantize(bits=bits, activations="float", group=None), torch.zeros(1, 1, 8, 8))
    rest = 4 * (sum(p.numel() for p in a_model().parameters()) + 32 + 90 - weights)  # biases, statistics, scales
    assert len(pack(model)) == pytest.approx(weights * bytes_each + rest, abs=HEAD)


def test_weights_that_are_shared_are_stored_once() -> None:
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
    model[1].weight = model[0].weight
    assert len(pack(model)) < 4 * 64 * 64 + 500


def test_another_file_and_another_model_are_refused() -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()
    with pytest.raises(ValueError, match="no file of a compressed model"):
        unpack(len(header).to_bytes(8, "little") + header, a_model())
    with pytest.raises(ValueError, match="of another model"):
        unpack(pack(nn.Sequential(nn.Linear(2, 2))), a_model())
