"""The models: their structure, their shapes, what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config
from tuning_trainer import models
from tuning_trainer.config import SettingError


def build(shape: tuple[int, ...], outputs: int = 10, **parameters: Any) -> nn.Module:
    return models.build(a_config(**parameters).model, shape=shape, outputs=outputs)


def kinds(module: nn.Module) -> list[str]:
    return [type(m).__name__ for m in module.children()]


def test_lenet_on_32_pixels_is_the_paper() -> None:
    model = build((1, 32, 32), model="lenet")
    sizes = [tuple(p.shape) for p in model.parameters() if p.dim() > 1]
    assert sizes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]
    assert sum(p.numel() for p in model.parameters()) == 61706
    assert kinds(model)[:6] == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d"]


def test_28_pixels_are_padded_to_the_same_network() -> None:
    assert sum(p.numel() for p in build((1, 28, 28), model="lenet").parameters()) == 61706


def test_8_pixels_get_small_convolutions() -> None:
    sizes = [tuple(p.shape) for p in build((1, 8, 8), model="lenet").parameters() if p.dim() > 1]
    assert sizes == [(6, 1, 3, 3), (16, 6, 3, 3), (120, 64), (84, 120), (10, 84)]


@pytest.mark.parametrize("side", [1, 2, 5, 8, 13, 16, 27, 28, 32, 64])
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_lenet_fits_images_of_every_size_or_says_what_to_do(side: int, layers: int) -> None:
    try:
        model = build((3, side, side), model="lenet", layers=layers)
    except SettingError as error:
        assert side >= 28
        assert "use fewer layers or a smaller kernel" in str(error)
    else:
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 10)


def test_lenet_settings_change_its_structure() -> None:
    small = {"layers": 3, "widen": 0.5, "norm": "batch", "dropout": 0.1, "activation": "tanh", "pool": "average"}
    model = build((1, 8, 8), model="lenet", kernel=5, **small)
    assert kinds(model).count("BatchNorm2d") == 3
    assert {"Tanh", "AvgPool2d", "Dropout"} <= set(kinds(model))
    assert next(model.parameters()).shape == (3, 1, 5, 5)


def test_mlp_settings_change_its_structure() -> None:
    model = build((30,), 2, model="mlp", layers=3, width=7, norm="layer", dropout=0.1, activation="gelu")
    assert kinds(model) == ["Flatten", *["Linear", "LayerNorm", "GELU", "Dropout"] * 3, "Linear"]
    assert [p.shape[0] for p in model.parameters() if p.dim() > 1] == [7, 7, 7, 2]
    assert kinds(build((30,), model="mlp", layers=0)) == ["Flatten", "Linear"]


def test_linear_has_one_matrix() -> None:
    assert [tuple(p.shape) for p in build((1, 8, 8), model="linear").parameters()] == [(10, 64), (10,)]
    assert [tuple(p.shape) for p in build((4,), 1, model="linear", bias=False).parameters()] == [(1, 4)]


@pytest.mark.parametrize(
    ("shape", "parameters", "words"),
    [
        pytest.param((30,), {}, "lenet needs images, use mlp or linear", id="a table"),
        pytest.param((1, 8, 8), {"kernel": 4}, "model.kernel is 4; it must be odd", id="an even kernel"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(shape: tuple[int, ...], parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        build(shape, model="lenet", **parameters)
    assert words in str(refused.value)
