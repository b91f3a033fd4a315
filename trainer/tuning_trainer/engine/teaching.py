"""The training of a teacher, before the first epoch of the trial: the same settings, another model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from tuning_trainer.compress.compression import Compression
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.failures import CutShortError
from tuning_trainer.engine.loop import Loop


class Teaching:
    """Trains the teacher that `compression` made, and hands it back ready."""

    def __init__(
        self,
        loop: Loop,
        evaluate: Evaluator,
        *,
        data: Prepared,
        epochs: int,
        compression: Compression,
        should_stop: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._evaluate = evaluate
        self._data = data
        self._epochs = epochs
        self._compression = compression
        self._should_stop = should_stop
        self._done = False

    @property
    def steps(self) -> int:
        """Steps of the teacher so far."""
        return self._loop.steps

    def run(self) -> bool:
        """Trains the teacher to its end; False when asked to stop before.

        Raises `DivergedError`.
        """
        while not self._done:
            progress = self._loop.progress
            if progress.epoch == self._epochs:
                try:
                    self._graduate()
                except CutShortError:
                    return False
                break
            mean = self._loop.epoch()
            if mean is None or self._should_stop():
                return False
            print(f"teacher: epoch {progress.epoch}/{self._epochs} train_loss={mean:.6g}", flush=True)
        return True

    def state(self) -> dict[str, Any]:
        """For the checkpoint; of a ready teacher the weights are stored with the compression."""
        return {"done": self._done, "steps": self.steps} | ({} if self._done else {"loop": self._loop.state()})

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self._done = state["done"]
        if not self._done:
            self._loop.restore(state["loop"])
        self._loop.progress.step = state["steps"]

    def _graduate(self) -> None:
        """Raises `CutShortError` when asked to stop, with nothing done."""
        if self._data.validation is not None:
            found = self._evaluate(self._data.validation, "val")
            print("teacher: " + " ".join(f"{name}={value:.6g}" for name, value in found.items()), flush=True)
        with nullcontext() if self._loop.average is None else self._loop.average.in_place():
            self._compression.graduate()
        self._done = True
