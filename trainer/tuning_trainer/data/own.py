"""Data of somebody's own, with a task of its own where it has one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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
    return source  # type: ignore[no-any-return]
