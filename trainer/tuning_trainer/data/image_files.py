"""MNIST and CIFAR-10 from a mounted directory, in the layouts torchvision keeps on disk.

The two formats are a header and bytes, so they are read here: importing torchvision takes seconds, and unpickling a
mounted file the plain way would run whatever code is in it. Tests compare with torchvision. The test files are opened
only for the final evaluation.
"""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.data import Cifar10, Mnist
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.source import Encoding, Images

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MAX_VALUES = 2**34
_IDX_BYTES = 0x08

Loaded = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
SeparateTest = Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def load(data: Mnist | Cifar10) -> tuple[Images, SeparateTest]:
    """The training images, and how to get the encoded test images. Raises `SettingError` for missing or damaged
    files.
    """
    read = _mnist if isinstance(data, Mnist) else _cifar10
    pixels, labels = read(Path(data.path), train=True)
    classes = CIFAR10_CLASSES if isinstance(data, Cifar10) else tuple(map(str, range(int(labels.max()) + 1)))

    def test(encoding: Encoding) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        images, wanted = read(Path(data.path), train=False)
        if images.shape[1:] != pixels.shape[1:]:
            raise SettingError(f"data.path: test images are {images.shape[1:]}, training images {pixels.shape[1:]}")
        if wanted.max() >= len(classes):
            raise SettingError(
                f"data.path: the test labels go up to {wanted.max()}, training labels to {len(classes) - 1}"
            )
        return images, wanted

    return Images(pixels, labels, classes), test


def _mnist(directory: Path, *, train: bool) -> Loaded:
    prefix = "train" if train else "t10k"
    pixels = read_idx(_find(directory, f"{prefix}-images-idx3-ubyte", inside=("MNIST/raw", "FashionMNIST/raw", "raw")))
    labels = read_idx(_find(directory, f"{prefix}-labels-idx1-ubyte", inside=("MNIST/raw", "FashionMNIST/raw", "raw")))
    if pixels.ndim != 3 or labels.ndim != 1 or len(pixels) != len(labels) or not len(labels):
        raise SettingError(
            f"data.path: the {prefix} files hold images {pixels.shape} and labels {labels.shape}; they must "
            "be as many, [N, H, W] "
            "and [N]"
        )
    return pixels[:, None], labels.astype(np.int64)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An idx file of bytes, plain or gzipped, in its own shape. Raises `SettingError` when it is none."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4)
            if len(header) < 4 or header[:2] != b"\0\0" or header[2] != _IDX_BYTES or not 1 <= header[3] <= 3:
                raise SettingError(f"data.path: {path} is no idx file of bytes; it begins with {header.hex()}")
            shape = tuple(int(n) for n in np.frombuffer(file.read(4 * header[3]), ">u4"))
            count = int(np.prod(shape, dtype=np.float64))
            body = file.read(count + 1) if count <= MAX_VALUES else b""
    except (OSError, EOFError, ValueError) as error:
        raise SettingError(f"data.path: {path} cannot be read: {error}") from None
    if len(shape) != header[3] or len(body) != count:
        raise SettingError(f"data.path: {path} says it holds {shape}, but has {len(body)} bytes of data; it is damaged")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _cifar10(directory: Path, *, train: bool) -> Loaded:
    names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
    paths = [_find(directory, names[0], inside=("cifar-10-batches-py",))]
    paths += [paths[0].with_name(name) for name in names[1:] if paths[0].with_name(name).exists()]
    batches = [_read_batch(path) for path in paths]
    return np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])


def _read_batch(path: Path) -> Loaded:
    try:
        batch = _DataUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        pixels = np.asarray(batch["data"])
        labels = np.asarray(batch["labels"], dtype=np.int64)
    except (
        OSError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
    ) as error:
        raise SettingError(f"data.path: {path} is no CIFAR-10 batch: {str(error)[:200]}") from None
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or not len(labels):
        raise SettingError(
            f"data.path: {path} holds {pixels.dtype} {pixels.shape} for {len(labels)} labels, not [N, 3072] bytes"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise SettingError(f"data.path: {path} has labels from {labels.min()} to {labels.max()}; they must be 0 to 9")
    return pixels.reshape(-1, 3, 32, 32), labels


class _DataUnpickler(pickle.Unpickler):
    """Rebuilds numpy arrays and refuses every other class, so that a file can hold data but no code."""

    _ALLOWED = frozenset(
        {
            (module, name)
            for module in ("numpy.core.multiarray", "numpy._core.multiarray")
            for name in ("_reconstruct", "scalar")
        }
        | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not data")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _find(directory: Path, name: str, *, inside: tuple[str, ...]) -> Path:
    places = [directory, *(directory / folder for folder in inside)]
    for place in places:
        for path in (place / name, place / f"{name}.gz"):
            if path.is_file():
                return path
    raise SettingError(
        f"data.path is {str(directory)!r}, where there is no {name}; mount the files there or in {inside[0]}"
    )
