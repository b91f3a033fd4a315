"""Divides samples in training, validation and test. Pure: the same seed and targets give the same parts everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.split import Split, TrainingSplit
from tuning_trainer.data.source import Rows


@dataclass(frozen=True, slots=True)
class Parts:
    """Indices of the samples of each part, in random order. No sample is in two parts."""

    train: Rows
    validation: Rows
    test: Rows


@runtime_checkable
class Divided(Protocol):
    """A source that knows parts of its own, such as those by files."""

    def parts(self, wanted: TrainingSplit) -> Parts:
        """The parts; `wanted` where it does not know better."""


def split(targets: npt.NDArray[Any], settings: TrainingSplit, *, classes: bool, separate_test: bool = False) -> Parts:
    """Splits by shares of all samples; with classes, and `stratify`, the share of each class is equal up to one sample.
    With a `separate_test`, none of these samples is for tests.

    Raises `SettingError` when a part that was asked for would be empty.
    """
    count = len(targets)
    random = np.random.default_rng(settings.seed)
    shares = {
        "test": settings.test if isinstance(settings, Split) and not separate_test else 0.0,
        "validation": settings.validation,
    }
    sizes = {name: round(share * count) for name, share in shares.items()}
    for name, share in shares.items():
        if share > 0 and sizes[name] == 0:
            raise SettingError(f"data.split.{name} is {share}, which leaves no sample of {count}; use a larger share")
    if sum(sizes.values()) >= count:
        raise SettingError(
            f"data.split.validation {shares['validation']} and data.split.test {shares['test']} leave "
            f"no sample of {count} to train with; use smaller shares"
        )
    groups = [np.arange(count)]
    if classes and settings.stratify:
        groups = [np.flatnonzero(targets == value) for value in np.unique(targets)]
    groups = [random.permutation(group) for group in groups]
    parts = {}
    for name, size in sizes.items():
        taken = _apportion(size, np.array([len(g) for g in groups]))
        parts[name] = random.permutation(np.concatenate([g[:n] for g, n in zip(groups, taken, strict=True)]))
        groups = [g[n:] for g, n in zip(groups, taken, strict=True)]
    return Parts(train=random.permutation(np.concatenate(groups)), validation=parts["validation"], test=parts["test"])


def split_beside_files(
    targets: npt.NDArray[Any], settings: TrainingSplit, *, classes: bool, held_out: int, test_file: bool
) -> Parts:
    """As `split`, where the last `held_out` samples, if any, are the validation part by a file of their own, and a
    `test_file` holds the tests.
    """
    own = len(targets) - held_out
    shares = Split(
        validation=0.0 if held_out else settings.validation,
        test=0.0 if test_file or not isinstance(settings, Split) else settings.test,
        seed=settings.seed,
        stratify=settings.stratify,
    )
    found = split(targets[:own], shares, classes=classes)
    return Parts(found.train, np.arange(own, len(targets)), found.test) if held_out else found


def check_shares(split: Any, *, validation_path: str | None, test_path: str | None) -> None:
    """Raises `SettingError` when a part has both a share and a file of its own."""
    for part, path in (("validation", validation_path), ("test", test_path)):
        if path and part in split.model_fields_set and getattr(split, part):
            raise SettingError(
                f"data.split.{part} is {getattr(split, part)} but data.{part}_path has all of this part; leave out one"
            )


def _apportion(size: int, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`size` divided in proportion to `counts`, by largest remainder; a class keeps at least one sample where it
    can.
    """
    exact = size * counts / counts.sum()
    taken = np.minimum(np.floor(exact).astype(np.int64), np.maximum(counts - 1, 0))
    order = np.argsort(-(exact - taken), kind="stable")
    while taken.sum() < size:
        open_ = [i for i in order if taken[i] < counts[i] - 1] or [i for i in order if taken[i] < counts[i]]
        for i in open_[: size - int(taken.sum())]:
            taken[i] += 1
    return np.asarray(taken)
