"""A loop whose model changes on the way: a teacher before the first epoch, stages of compression at the beginning of
some. For those who use it it is a loop like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.compress.compression import Compression
from tuning_trainer.data.prepared import Part
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.loop import Loop, Progress
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.teaching import Teaching
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.schedule_free import ScheduleFree


class Staged:
    """The methods of `engine.loop.Loop`, over the loop of the stage that the training is in."""

    def __init__(self, make: Callable[[], Loop], compression: Compression, teaching: Teaching | None) -> None:
        """`make` makes a loop of the model as it is."""
        self._make = make
        self._compression = compression
        self._teaching = teaching
        self._loop = make()

    @property
    def progress(self) -> Progress:
        """Where the training is; the teacher's does not count."""
        return self._loop.progress

    @property
    def average(self) -> Average | ScheduleFree | None:
        """The average of the weights."""
        return self._loop.average

    @property
    def room(self) -> Room:
        """What fits into memory."""
        return self._loop.room

    @property
    def steps(self) -> int:
        """Steps of everything that is trained."""
        return self._loop.steps + (0 if self._teaching is None else self._teaching.steps)

    def epoch(self) -> float | None:
        """See `Loop.epoch`."""
        if self._teaching is not None and not self._teaching.run():
            return None
        if self._compression.enter(self.progress.epoch):
            before = self._loop
            self._loop = self._make()
            self._loop.succeed(before)
        return self._loop.epoch()

    def state(self) -> dict[str, Any]:
        """Everything the rest of the training depends on, for a checkpoint."""
        teaching = {} if self._teaching is None else {"teaching": self._teaching.state()}
        return self._loop.state() | {"compress": self._compression.state()} | teaching

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`. Raises `SettingError` where the stages are planned in another way now."""
        self._become(state)
        self._loop.restore(state)

    def inherit(self, state: Mapping[str, Any]) -> None:
        """Goes on from the `state` of another training, as `Loop.inherit`."""
        self._become(state)
        self._loop.inherit(state)

    def _become(self, state: Mapping[str, Any]) -> None:
        if self._compression.restore(state["compress"]):
            self._loop = self._make()
        if self._teaching is not None:
            self._teaching.restore(state["teaching"])


class Delivery:
    """The methods of `engine.evaluate.Evaluator`, for the model as it would be exported now."""

    def __init__(self, evaluator: Evaluator, deliver: Callable[[], torch.nn.Module]) -> None:
        self._evaluator = evaluator
        self._deliver = deliver

    def __call__(self, part: Part, prefix: str) -> dict[str, float]:
        """See `Evaluator`."""
        return self._evaluator.of(self._deliver())(part, prefix)

    def predict(self, part: Part) -> Tensor:
        """See `Evaluator`."""
        return self._evaluator.of(self._deliver()).predict(part)
