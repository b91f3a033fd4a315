"""Augmentation: each change is what torchvision or the paper computes, and a resumed training draws the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as theirs

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tests.unit.trainer.test_resume import OBJECTIVES, assert_same, train_in_pieces
from tuning_trainer import augment
from tuning_trainer.augment import images as ours
from tuning_trainer.augment.mix import Mix
from tuning_trainer.augment.spectrograms import SpectrogramChange
from tuning_trainer.augment.tokens import TokenDropout
from tuning_trainer.config import SettingError
from tuning_trainer.config.augment import Augment
from tuning_trainer.data.layout import Layout
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression

CLASSES = Classification(("a", "b", "c"), (5, 5, 5))


def some_images(count: int = 6, *, side: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(3)).float()


def change(settings: Augment, images: Tensor, *, seed: int = 0, white: int = 255) -> Tensor:
    torch.manual_seed(seed)
    return ours.ImageChange(settings, white=white)(images, torch.zeros(len(images)))[0]


@pytest.mark.parametrize(
    ("mine", "function", "values"),
    [
        pytest.param(ours.brighten, theirs.adjust_brightness, [0.5, 1.0, 1.4], id="brightness"),
        pytest.param(ours.contrast, theirs.adjust_contrast, [0.5, 1.0, 1.4], id="contrast"),
        pytest.param(ours.saturate, theirs.adjust_saturation, [0.5, 1.0, 1.4], id="saturation"),
    ],
)
def test_colours_change_as_in_torchvision(mine: Any, function: Any, values: list[float]) -> None:
    images = some_images(3)
    expected = torch.stack([function(i / 255, v) * 255 for i, v in zip(images, values, strict=True)])
    assert torch.allclose(mine(images, torch.tensor(values), 255.0), expected, atol=0.01)


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)], ids=["square", "wide"])
def test_images_turn_as_in_torchvision(shape: tuple[int, int]) -> None:
    images, angles = torch.rand(3, 1, *shape), [20.0, -75.0, 180.0]
    turned = [theirs.rotate(i, a, v2.InterpolationMode.BILINEAR) for i, a in zip(images, angles, strict=True)]
    assert torch.allclose(ours.rotate(images, torch.tensor(angles)), torch.stack(turned), atol=1e-3)


def test_a_crop_is_a_part_of_the_image_in_a_black_frame() -> None:
    images, rows, columns = some_images(3, side=8), [0, 2, 5], [4, 1, 3]
    bordered = theirs.pad(images, [3, 3, 3, 3])
    expected = [theirs.crop(b, r, c, 8, 8) for b, r, c in zip(bordered, rows, columns, strict=True)]
    assert torch.equal(ours.crop(images, torch.tensor(rows), torch.tensor(columns), border=3), torch.stack(expected))


def test_a_turn_of_the_hue_changes_colours_but_neither_light_nor_saturation() -> None:
    images = some_images(32)
    changed = change(Augment(hue=0.5), images)
    for edge in (torch.amax, torch.amin):
        assert torch.allclose(edge(changed, 1), edge(images, 1), atol=0.5)
    assert float((changed - images).abs().mean()) > 20


@pytest.mark.parametrize(("way", "axis"), [("flip", 3), ("vertical_flip", 2)])
def test_each_image_is_mirrored_by_its_own_chance(way: str, axis: int) -> None:
    images = some_images(200, side=4)
    changed = change(Augment.model_validate({way: 0.3}), images)
    kept = (changed == images).flatten(1).all(1)
    mirrored = (changed == images.flip(axis)).flatten(1).all(1)
    assert bool((kept | mirrored).all())
    assert 0.2 < float(mirrored.float().mean()) < 0.4


def test_erasing_blackens_one_rectangle_of_the_papers_size() -> None:
    black = (change(Augment(erasing=1.0), torch.ones(100, 1, 32, 32)) == 0)[:, 0]
    rows, columns = black.any(2).sum(1), black.any(1).sum(1)
    assert torch.equal(black.sum((1, 2)), rows * columns)
    shares = black.float().mean((1, 2))
    assert float(shares.min()) >= 0.01
    assert float(shares.max()) <= 0.36


@pytest.mark.parametrize("white", [16, 255], ids=["digits", "bytes"])
def test_rand_augment_keeps_the_range_of_the_images(white: int) -> None:
    images = (some_images(32) / 255 * white).round()
    changed = change(Augment(rand_augment=2, hue=0.2), images, white=white)
    assert changed.shape == images.shape
    assert not torch.equal(changed, images)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= white + 1e-3
    assert torch.equal(changed, change(Augment(rand_augment=2, hue=0.2), images, white=white))


@pytest.mark.parametrize(("name", "transform"), [("mixup", v2.MixUp), ("cutmix", v2.CutMix)])
def test_mixes_are_torchvisions(name: str, transform: Any) -> None:
    images, labels = some_images(6), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.manual_seed(5)
    mixed, shares = Mix(Augment.model_validate({name: 0.7}), classes=3)(images, labels)
    torch.manual_seed(5)
    expected, expected_shares = transform(alpha=0.7, num_classes=3)(images, labels)
    assert torch.allclose(mixed, expected, atol=1e-3)
    assert torch.allclose(shares, expected_shares)
    assert not torch.equal(mixed, images)


def test_mixup_of_a_regression_mixes_the_numbers() -> None:
    rows, numbers = torch.rand(8, 3), torch.rand(8)
    mixed, targets = Mix(Augment(mixup=1.0), classes=None)(rows, numbers)
    share = (mixed[0, 0] - rows[7, 0]) / (rows[0, 0] - rows[7, 0])
    assert torch.allclose(targets, numbers.roll(1) * (1 - share) + numbers * share, atol=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "binary_cross_entropy", "mse"])
def test_a_share_of_one_in_a_class_is_that_class(loss: str) -> None:
    config = a_config(loss=loss)
    function = CLASSES.loss(config.loss)
    outputs, labels = torch.randn(9, 3), torch.tensor([0, 1, 2] * 3)
    shares = torch.nn.functional.one_hot(labels, 3).float()
    assert torch.allclose(function(outputs, labels), function(outputs, shares), atol=1e-6)


def test_spec_augment_blanks_spans_of_time_and_bands_of_frequency() -> None:
    settings = Augment(time_masks=1, time_width=4, frequency_masks=2, frequency_width=3)
    torch.manual_seed(0)
    changed, _ = SpectrogramChange(settings)(torch.ones(200, 1, 30, 20), torch.zeros(200))
    blank = (changed == 0)[:, 0]
    spans, bands = blank.all(2).sum(1), blank.all(1).sum(1)
    assert torch.equal(blank, blank.all(2)[:, :, None] | blank.all(1)[:, None, :])
    assert set(spans.tolist()) == {0, 1, 2, 3, 4}
    assert int(bands.max()) <= 6
    assert len(set(bands.tolist())) > 4


def test_token_dropout_leaves_tokens_out_and_closes_up() -> None:
    texts = torch.arange(1, 51).repeat(20, 1)
    texts[:, 40:] = 0
    texts[0, 1:] = 0
    torch.manual_seed(0)
    changed, _ = TokenDropout(0.3)(texts, torch.zeros(20))
    kept = changed != 0
    assert int(kept[0].sum()) == 1
    assert 0.6 < float(kept[1:].sum() / (19 * 40)) < 0.8
    for row in changed:
        values = row[row != 0]
        assert torch.equal(values, values.sort().values)
        assert torch.equal(row[: len(values)], values)


IMAGES = {"flip": 0.5, "crop": 1, "rotation": 10.0, "erasing": 0.3, "contrast": 0.2, "rand_augment": 1}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"augment": IMAGES}, id="images"),
        pytest.param({"augment": {"mixup": 0.4, "cutmix": 1.0}}, id="mixes"),
    ],
)
def test_a_stopped_training_goes_on_with_the_same_draws(tmp_path: Path, settings: dict[str, Any]) -> None:
    shared = {"data": {"name": "digits", "split": {"validation": 0.1, "test": 0.7}}, "model": "lenet", **settings}
    config = a_config({**shared, "train": {"epochs": 2, "batch_size": 100}})
    code, session = ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))
    assert code == 0
    attempts, report = train_in_pieces(config, tmp_path / "pieces", questions=3)
    assert attempts > 1
    assert_same(tmp_path / "whole", tmp_path / "pieces")
    assert report == session.snapshot()


def test_only_training_samples_are_changed() -> None:
    plain, changed = a_config(data="digits", model="lenet"), a_config(data="digits", model="lenet", flip=1.0, mixup=0.3)
    one, other = the_data(plain), the_data(changed)
    assert one.validation is not None
    assert other.validation is not None
    assert other.normalize is not None
    assert torch.allclose(other.normalize(other.validation.inputs), one.validation.inputs, atol=1e-6)
    inputs, targets = a_trial(changed).loop._batches.epoch(0)(0)
    first = a_trial(plain).loop._batches.epoch(0)(0)
    assert inputs.shape == first[0].shape
    assert not torch.allclose(inputs, first[0])
    assert targets.shape == (16, 10)


@pytest.mark.parametrize(
    ("settings", "layout", "words"),
    [
        pytest.param({"flip": 0.5}, Layout((4,)), "augment.flip is 0.5 but the data has no images", id="a table"),
        pytest.param({"hue": 0.1}, Layout((1, 8, 8), white=255), "no images in colour", id="grey images"),
        pytest.param({"time_masks": 1}, Layout((1, 8, 8), white=255), "no spectrograms", id="images as sound"),
        pytest.param({"cutmix": 1.0}, Layout((4,)), "no images or spectrograms", id="cutmix of a table"),
        pytest.param({"mixup": 1.0}, Layout((4,), vocabulary=9), "spectrograms or tables", id="mixup of texts"),
        pytest.param({"token_dropout": 0.1}, Layout((4,)), "no texts", id="tokens of a table"),
    ],
)
def test_a_change_that_does_not_fit_the_data_is_refused(settings: Any, layout: Layout, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        augment.build(Augment.model_validate(settings), layout=layout, task=Regression(0.0, 1.0))
