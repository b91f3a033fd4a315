"""The models: their structure, their shapes, what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config, ran
from tuning_trainer import models
from tuning_trainer.config import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.sequence import AsSequence


def build(shape: tuple[int, ...], outputs: int = 10, **parameters: Any) -> nn.Module:
    return models.build(a_config(**parameters).model, layout=Layout(shape), outputs=outputs)


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


def test_cnn_doubles_its_channels_and_halves_the_image() -> None:
    model = build((3, 16, 16), model="cnn", layers=3, blocks=2, width=8)
    widths = [tuple(p.shape) for name, p in model.named_parameters() if "first.0" in name]
    assert widths == [(8, 8, 3, 3), (8, 8, 3, 3), (16, 8, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3)]
    seen: list[tuple[int, ...]] = []
    for part in model:
        part.register_forward_hook(lambda module, given, result: seen.append(tuple(result.shape[1:])))
    model(torch.zeros(2, 3, 16, 16))
    assert seen[:7] == [(8, 16, 16), (8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 8, 8), (32, 4, 4), (32, 4, 4)]


def test_a_residual_block_that_does_nothing_passes_its_input_on() -> None:
    model = build((1, 4, 4), model="cnn", layers=1, width=3, norm="none", activation="relu")
    block = model[1]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    values = torch.rand(2, 3, 4, 4)
    assert torch.equal(block(values), values)
    plain = build((1, 4, 4), model="cnn", layers=1, width=3, norm="none", residual=False)[1]
    for parameter in plain.parameters():
        nn.init.zeros_(parameter)
    assert not plain(values).any()


@pytest.mark.parametrize("side", [1, 2, 3, 8, 28])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_cnn_fits_images_of_every_size(side: int, norm: str) -> None:
    assert build((1, side, side), model="cnn", layers=6, width=2, norm=norm)(torch.zeros(2, 1, side, side)).shape == (
        2,
        10,
    )


@pytest.mark.parametrize("name", ["rnn", "transformer"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (13,), (6, 4)])
def test_images_tables_and_sequences_are_read_as_sequences(name: str, shape: tuple[int, ...]) -> None:
    assert build(shape, 3, model=name, width=8)(torch.rand(2, *shape)).shape == (2, 3)


def test_an_image_is_read_row_by_row() -> None:
    image = torch.arange(24.0).view(1, 2, 3, 4)
    assert AsSequence()(image)[0, 1].tolist() == [4, 5, 6, 7, 16, 17, 18, 19]


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("tanh", 1)])
def test_rnn_settings_change_its_structure(cell: str, gates: int) -> None:
    model = build((8, 5), 3, model="rnn", cell=cell, layers=2, width=7, bidirectional=True)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["cells.weight_ih_l0"] == (gates * 7, 5)
    assert shapes["cells.weight_ih_l1_reverse"] == (gates * 7, 14)
    assert shapes["head.weight"] == (3, 14)


def test_an_rnn_gives_the_last_state_of_both_directions() -> None:
    model = build((6, 4), 3, model="rnn", cell="gru", width=5, bidirectional=True)
    inputs = torch.rand(2, 6, 4)
    states, _ = model.cells(inputs)
    wanted = model.head(torch.cat([states[:, -1, :5], states[:, 0, 5:]], dim=1))
    assert torch.allclose(model(inputs), wanted)


def test_a_transformer_block_is_torchs_encoder_layer() -> None:
    model = build(
        (6, 4), 3, model="transformer", width=8, heads=2, layers=1, feed_forward=2.0, activation="relu"
    ).eval()
    ours = model.blocks[0]
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True).eval()
    theirs.self_attn.in_proj_weight.data.copy_(ours.queries_keys_values.weight)
    theirs.self_attn.in_proj_bias.data.copy_(ours.queries_keys_values.bias)
    pairs = {
        theirs.self_attn.out_proj: ours.after_attention,
        theirs.norm1: ours.before_attention,
        theirs.norm2: ours.feed_forward[0],
        theirs.linear1: ours.feed_forward[1],
        theirs.linear2: ours.feed_forward[3],
    }
    for one, other in pairs.items():
        one.load_state_dict(other.state_dict())
    vectors = torch.rand(3, 6, 8)
    assert torch.allclose(ours(vectors), theirs(vectors), atol=1e-5)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(SettingError, match=r"must be a multiple of model\.heads, 4"):
        build((8, 8), model="transformer", width=10)


LEARNERS: dict[str, dict[str, Any]] = {
    "cnn": {"model": "cnn", "width": 8, "layers": 2, "epochs": 6, "lr": 0.01},
    "lstm": {"model": "rnn", "width": 32, "epochs": 8, "lr": 0.01},
    "gru": {"model": "rnn", "cell": "gru", "width": 32, "epochs": 8, "lr": 0.01},
    "transformer": {"model": "transformer", "width": 32, "epochs": 10, "lr": 0.005},
}


@pytest.mark.parametrize("case", LEARNERS)
def test_it_learns_the_digits(case: str) -> None:
    config = a_config({"data": "digits", "train": {"batch_size": 64}, "schedule": "cosine"}, **LEARNERS[case])
    code, session = ran(config)
    assert code == 0
    assert session.snapshot().final["val_accuracy"] > 0.9


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
