"""The bundled sets and the image files, against scikit-learn's and torchvision's own readers."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from tuning_trainer.config import SettingError
from tuning_trainer.config.data import Cifar10, Mnist
from tuning_trainer.data import image_files, sklearn_sets
from tuning_trainer.data.source import Images, Numbers


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_the_bundled_files_hold_what_scikit_learn_gives(name: str) -> None:
    source = sklearn_sets.load(name)
    bunch = getattr(sklearn.datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    inputs = source.pixels.reshape(len(source.pixels), -1) if isinstance(source, Images) else None
    if isinstance(source, Numbers):
        inputs = source.values
    assert np.array_equal(inputs, bunch.data)
    assert np.array_equal(source.targets, bunch.target)
    assert source.classes == (None if name == "diabetes" else tuple(map(str, bunch.target_names)))


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    body = struct.pack(">I", 0x0800 + array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    if path.suffix == ".gz":
        with gzip.open(path, "wb") as file:
            file.write(body)
    else:
        path.write_bytes(body)


def write_mnist(root: Path, *, ending: str = "", count: int = 50) -> Path:
    """Random images in torchvision's layout; returns the directory of the files."""
    directory = root / "MNIST" / "raw"
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    for prefix, size in (("train", count), ("t10k", 10)):
        write_idx(directory / f"{prefix}-images-idx3-ubyte{ending}", random.integers(0, 256, (size, 28, 28), np.uint8))
        write_idx(directory / f"{prefix}-labels-idx1-ubyte{ending}", (np.arange(size) % 10).astype(np.uint8))
    return directory


@pytest.mark.parametrize("ending", ["", ".gz"], ids=["plain", "gzipped"])
@pytest.mark.parametrize("where", ["root", "files"])
def test_mnist_is_read_from_the_root_or_beside_the_files(tmp_path: Path, ending: str, where: str) -> None:
    files = write_mnist(tmp_path, ending=ending)
    images, test = image_files.load(Mnist(path=str(tmp_path if where == "root" else files)))
    assert images.pixels.shape == (50, 1, 28, 28)
    assert images.classes == tuple("0123456789")
    pixels, labels = test(images.learn(np.arange(50)))
    assert (pixels.shape, labels.tolist()) == ((10, 1, 28, 28), list(range(10)))


def test_mnist_is_what_torchvision_reads(tmp_path: Path) -> None:
    from torchvision.datasets import MNIST

    write_mnist(tmp_path)
    theirs = MNIST(str(tmp_path), train=True)
    ours, _ = image_files.load(Mnist(path=str(tmp_path)))
    assert np.array_equal(ours.pixels[:, 0], theirs.data.numpy())
    assert np.array_equal(ours.targets, theirs.targets.numpy())


def test_the_test_files_are_not_opened_before_they_are_asked_for(tmp_path: Path) -> None:
    files = write_mnist(tmp_path)
    for file in files.glob("t10k*"):
        file.unlink()
    images, test = image_files.load(Mnist(path=str(tmp_path)))
    with pytest.raises(SettingError, match="t10k-images"):
        test(images.learn(np.arange(50)))


def write_cifar(root: Path, *, batches: int = 2, per_batch: int = 20, body: Any = None) -> Path:
    directory = root / "cifar-10-batches-py"
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in [*(f"data_batch_{i + 1}" for i in range(batches)), "test_batch"]:
        data = random.integers(0, 256, (per_batch, 3072), np.uint8)
        batch = {"data": data, "labels": [i % 10 for i in range(per_batch)], "batch_label": "x"}
        (directory / name).write_bytes(pickle.dumps(batch if body is None else body, protocol=2))
    return directory


def test_cifar10_is_read(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    images, test = image_files.load(Cifar10(path=str(tmp_path)))
    assert images.pixels.shape == (40, 3, 32, 32)
    assert images.classes is not None
    assert images.classes[0] == "airplane"
    first = pickle.loads((tmp_path / "cifar-10-batches-py" / "data_batch_1").read_bytes())
    assert np.array_equal(images.pixels[0].reshape(-1), first["data"][0])
    assert test(images.learn(np.arange(40)))[0].shape == (20, 3, 32, 32)


class Payload:
    """A pickle that would run a command."""

    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(Payload(), "system, which is not data", id="code"),
        pytest.param({"labels": [1]}, "is no CIFAR-10 batch", id="no images"),
        pytest.param(
            {"data": np.zeros((2, 10), np.uint8), "labels": [0, 1]}, "not [N, 3072] bytes", id="a wrong shape"
        ),
        pytest.param({"data": np.zeros((1, 3072), np.uint8), "labels": [12]}, "must be 0 to 9", id="a wrong label"),
        pytest.param([1, 2], "is no CIFAR-10 batch", id="a list"),
    ],
)
def test_a_bad_batch_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path, body=body)
    with pytest.raises(SettingError) as refused:
        image_files.load(Cifar10(path=str(tmp_path)))
    assert words in str(refused.value)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"<html>404", "is no idx file", id="a web page"),
        pytest.param(b"", "is no idx file", id="nothing"),
        pytest.param(struct.pack(">II", 0x0801, 9) + b"abc", "it is damaged", id="cut short"),
        pytest.param(struct.pack(">II", 0x0801, 2) + b"abc", "it is damaged", id="too long"),
        pytest.param(struct.pack(">IIII", 0x0803, 2**32 - 1, 2**32 - 1, 2**32 - 1), "it is damaged", id="endless"),
    ],
)
def test_a_bad_idx_file_is_refused(tmp_path: Path, body: bytes, words: str) -> None:
    files = write_mnist(tmp_path)
    (files / "train-labels-idx1-ubyte").write_bytes(body)
    with pytest.raises(SettingError) as refused:
        image_files.load(Mnist(path=str(tmp_path)))
    assert words in str(refused.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError,
        match=r"there is no train-images-idx3-ubyte; mount the files there or in "
        "MNIST/raw",
    ):
        image_files.load(Mnist(path=str(tmp_path)))
