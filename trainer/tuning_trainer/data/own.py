"""Data of somebody's own, with a task of its own where it has one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.own import CustomData
from tuning_trainer.data.source import Rows, Source
from tuning_trainer.own import made
from tuning_trainer.tasks.task import Task


@runtime_checkable
class HasTask(Protocol):
    """A source that is neither for classes nor for a number. Its targets are given to the task as they are."""

    def task(self, rows: Rows) -> Task:
        """The task, as learned from the training `rows` only."""


def load(data: CustomData) -> Source:
    """What the factory makes. Raises `SettingError` when that is no source."""
    source = made(data.source, field="data.source", within="data.arguments", settings=data.arguments)
    missing = [name for name in ("targets", "classes", "learn") if not hasattr(source, name)]
    if missing:
        raise SettingError(
            f"data.source {data.source!r} returned {type(source).__name__} without {', '.join(missing)}; return a "
            "tuning_trainer.data.source.Source"
        )
    if not len(source.targets):
        raise SettingError(f"data.source {data.source!r} returned a source without samples")
    if not isinstance(source, HasTask):
        _check_targets(np.asarray(source.targets), source.classes, data.source)
    return source  # type: ignore[no-any-return]


def _check_targets(targets: npt.NDArray[Any], classes: tuple[str, ...] | None, name: str) -> None:
    if targets.ndim != 1:
        raise SettingError(
            f"data.source {name!r} returned targets of the shape {targets.shape}; one a sample is needed"
        )
    if classes is None:
        if targets.dtype.kind not in "fiu" or not np.isfinite(targets).all():
            raise SettingError(
                f"data.source {name!r} returned targets that are no finite numbers; leave these rows out"
            )
        return
    if targets.dtype.kind not in "iu":
        raise SettingError(f"data.source {name!r} returned {targets.dtype} as classes; they must be whole numbers")
    if targets.min() < 0 or targets.max() >= len(classes):
        raise SettingError(
            f"data.source {name!r} returned classes from {targets.min()} to {targets.max()}, but names "
            f"{len(classes)}; they must be 0 to {len(classes) - 1}"
        )
