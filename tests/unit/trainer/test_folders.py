"""Folders of images: read as Pillow and torchvision read them; what is damaged is named, and fatal beyond a share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.builders import a_config, ran, the_data
from tuning_trainer.config import SettingError
from tuning_trainer.config.folders import ImageFolder
from tuning_trainer.data import image_folder


def write_images(root: Path, *, count: int = 20, ending: str = ".png", size: tuple[int, int] = (12, 9)) -> Path:
    """Bright and dark images with noise, of a width and a height."""
    random = np.random.default_rng(0)
    for name, level in (("bright", 180), ("dark", 60)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.normal(level, 20, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02d}{ending}")
    return root


def test_images_are_those_of_torchvisions_folder(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder as Theirs

    theirs = Theirs(str(write_images(tmp_path, size=(9, 9))))
    ours, _ = image_folder.load(ImageFolder(path=str(tmp_path), image_height=9))
    assert list(ours.classes or ()) == theirs.classes
    assert ours.targets.tolist() == theirs.targets
    assert all(np.array_equal(mine, np.asarray(i).transpose(2, 0, 1)) for mine, (i, _) in zip(ours.pixels, theirs))  # noqa: B905


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".webp", ".bmp"])
@pytest.mark.parametrize(("colour", "channels"), [(True, 3), (False, 1)], ids=["colour", "grey"])
def test_formats_and_sizes(tmp_path: Path, ending: str, colour: bool, channels: int) -> None:
    write_images(tmp_path, ending=ending, count=2)
    found, _ = image_folder.load(ImageFolder(path=str(tmp_path), image_height=6, image_width=5, colour=colour))
    assert found.pixels.shape == (4, channels, 6, 5)
    assert found.pixels[:2].mean() > 150
    assert found.pixels[2:].mean() < 90


@pytest.mark.parametrize(("fit", "grey_at_the_edge"), [("crop", False), ("stretch", True)])
def test_an_image_of_another_shape_is_cut_or_stretched(tmp_path: Path, fit: Any, grey_at_the_edge: bool) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, :8] = 128
    Image.fromarray(pixels).save(tmp_path / "x.png")
    image = image_folder.read_image(tmp_path / "x.png", ImageFolder(path="x", image_height=10, fit=fit))
    assert bool(image[0, 5, 0] > 100) == grey_at_the_edge


def damage(root: Path, count: int) -> None:
    for path in sorted((root / "dark").iterdir())[:count]:
        path.write_bytes(path.read_bytes()[:60])


def test_a_few_damaged_files_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(write_images(tmp_path), 2)
    found, _ = image_folder.load(ImageFolder(path=str(tmp_path), image_height=8))
    assert np.bincount(found.targets).tolist() == [20, 18]
    told = capsys.readouterr().err
    assert "2 of 40 files cannot be read" in told
    assert "dark/00.png" in told
    assert "left out" in told


@pytest.mark.parametrize(
    ("damaged", "allowed", "words"),
    [
        pytest.param(3, 0.05, "3 of 40 files cannot be read.*raise data.damaged, which is 0.05", id="too many"),
        pytest.param(20, 0.9, "no file of class 'dark' can be read", id="a whole class"),
    ],
)
def test_more_damaged_files_are_fatal(tmp_path: Path, damaged: int, allowed: float, words: str) -> None:
    damage(write_images(tmp_path), damaged)
    with pytest.raises(SettingError, match=words):
        image_folder.load(ImageFolder(path=str(tmp_path), damaged=allowed))


def make_folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param((), "is no folder; mount the data there", id="nothing"),
        pytest.param(("cats",), "holds 1 folders; each class needs one", id="one class"),
        pytest.param(("cats", "dogs"), "folder 'cats' has no file that ends in .png", id="an empty class"),
    ],
)
def test_folders_that_cannot_be_used_are_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    make_folders(tmp_path / "data", *names) if names else None
    with pytest.raises(SettingError, match=words):
        image_folder.load(ImageFolder(path=str(tmp_path / "data")))


def test_a_test_folder_must_have_the_classes_of_the_training_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "train", count=5)
    write_images(tmp_path / "test", count=3)
    settings = {"name": "image_folder", "path": str(tmp_path / "train"), "test_path": str(tmp_path / "test")}
    prepared = the_data(a_config({"data": {**settings, "image_height": 8}}), final=True)
    assert (len(prepared.train), len(prepared.test())) == (10, 6)
    (tmp_path / "test" / "dark").rename(tmp_path / "test" / "green")
    with pytest.raises(SettingError, match=r"folder .green. is no class of data\.path"):
        prepared.test()


def test_a_model_learns_from_augmented_images(tmp_path: Path) -> None:
    data = {"name": "image_folder", "path": str(write_images(tmp_path)), "image_height": 8}
    shared = {"data": data, "model": {"name": "lenet"}, "augment": {"flip": 0.5, "crop": 1, "hue": 0.1, "mixup": 0.2}}
    code, session = ran(a_config(shared, epochs=15, lr=0.003, batch_size=8))
    assert code == 0
    assert session.snapshot().final["val_accuracy"] >= 0.9
