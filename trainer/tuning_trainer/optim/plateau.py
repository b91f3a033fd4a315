"""The schedule that waits for the watched metric to stop getting better; as torch's ReduceLROnPlateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuning_trainer.config.schedule import Plateau as Settings
from tuning_trainer.optim.schedule import Factor


class Plateau:
    """Takes the value of each evaluation; gives the factor on the learning rate."""

    def __init__(self, settings: Settings, *, maximize: bool) -> None:
        self._settings = settings
        self._maximize = maximize
        self._best = -math.inf if maximize else math.inf
        self._bad = 0
        self._resting = 0
        self._factor = 1.0

    def take(self, value: float) -> None:
        """One evaluation."""
        settings = self._settings
        if self._better(value):
            self._best, self._bad = value, 0
        else:
            self._bad += 1
        if self._resting > 0:
            self._resting -= 1
            self._bad = 0
        if self._bad > settings.wait:
            self._factor = max(self._factor * settings.gamma, settings.floor)
            self._resting, self._bad = settings.cooldown, 0

    def over(self, warmup: Factor | None) -> Factor:
        """The factor of every step: this one, over that of a warm-up."""
        if warmup is None:
            return lambda step: self._factor
        return lambda step: self._factor * warmup(step)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"best": self._best, "bad": self._bad, "resting": self._resting, "factor": self._factor}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self._best, self._bad = state["best"], state["bad"]
        self._resting, self._factor = state["resting"], state["factor"]

    def _better(self, value: float) -> bool:
        threshold = self._settings.threshold
        if self._maximize:
            return value > (self._best * (1 + threshold) if self._settings.relative else self._best + threshold)
        return value < (self._best * (1 - threshold) if self._settings.relative else self._best - threshold)
