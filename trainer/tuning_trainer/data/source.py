"""What a data set is before it is split: rows with targets, and a way to encode them that learns from training rows
only.

numpy, no torch. A new kind of data is a new `Source`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
"""Indices of samples."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """Subtract `mean`, multiply by `scale`, both broadcast against one sample."""

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How samples become numbers, as learned from the training rows."""

    encode: Callable[[Rows], npt.NDArray[Any]]
    """Rows -> samples: uint8 that still need `normalization`, or float32 that are ready."""
    normalization: Normalization | None
    """What is left to do for each batch; None when `encode` gives ready samples."""
    description: dict[str, Any]
    """The statistics as JSON values, to be kept with the exported weights."""
    vocabulary: int | None = None
    """Where `encode` gives tokens, int64 [N, T]: how many different ones there are; 0 fills up short samples."""
    white: int | None = None
    """Where `encode` gives images: the value of a white pixel."""
    ids: tuple[int, ...] = ()
    """Where `encode` gives numbers of things, int64 [N] or [N, kinds]: how many there are of each kind."""
    tables: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """What a model is to hold of the data besides its weights."""
    encode_others: Callable[[Any], npt.NDArray[Any]] | None = None
    """As `encode`, for samples that are none of the source's rows, in a form of its own; None where it has none."""


class Source(Protocol):
    """Samples not yet split."""

    @property
    def targets(self) -> npt.NDArray[Any]:
        """One target a sample: int64 classes from 0, or float64 numbers."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None for regression."""

    def learn(self, rows: Rows) -> Encoding:
        """The encoding whose statistics come from the training `rows` only."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one size as uint8, [N, C, H, W]."""

    pixels: npt.NDArray[np.uint8]
    targets: npt.NDArray[Any]
    classes: tuple[str, ...] | None
    white: int = 255
    """Value of a white pixel."""

    def learn(self, rows: Rows) -> Encoding:
        """Standardises each channel by the mean and the deviation of its pixels in the training rows."""
        mean, deviation = _channel_statistics(self.pixels, rows)
        return self.with_statistics(mean, deviation)

    def with_statistics(self, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]) -> Encoding:
        """The encoding by given statistics, one value a channel."""
        shape = (-1, 1, 1)
        return Encoding(
            encode=lambda rows: self.pixels[rows],
            normalization=Normalization(
                mean=mean.astype(np.float32).reshape(shape), scale=(1 / deviation).astype(np.float32).reshape(shape)
            ),
            description={"kind": "images", "mean": mean.tolist(), "deviation": deviation.tolist()},
            white=self.white,
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table of numbers without gaps, float64 [N, F]."""

    values: npt.NDArray[np.float64]
    names: tuple[str, ...]
    targets: npt.NDArray[Any]
    classes: tuple[str, ...] | None

    def learn(self, rows: Rows) -> Encoding:
        """Standardises each column by its mean and deviation in the training rows; constant columns become 0."""
        mean, deviation = column_statistics(self.values[rows])
        return Encoding(
            encode=lambda wanted: ((self.values[wanted] - mean) / deviation).astype(np.float32),
            normalization=None,
            description={
                "kind": "table",
                "columns": [
                    {"name": n, "mean": m, "deviation": d}
                    for n, m, d in zip(self.names, mean.tolist(), deviation.tolist(), strict=True)
                ],
            },
        )


def column_statistics(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and deviation of each column of [N, F]; the deviation of a constant column is given as 1."""
    mean = values.mean(axis=0)
    deviation = values.std(axis=0)
    return mean, np.where(deviation > 1e-12 * np.maximum(1.0, np.abs(mean)), deviation, 1.0)


def _channel_statistics(
    pixels: npt.NDArray[np.uint8], rows: Rows
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Exact mean and deviation a channel, from counts of the 256 values; needs no float copy of the images."""
    means, deviations = [], []
    values = np.arange(256, dtype=np.float64)
    for channel in range(pixels.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(rows), 8192):
            counts += np.bincount(pixels[rows[start : start + 8192], channel].ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(variance**0.5 or 1.0)
    return np.array(means), np.array(deviations)
