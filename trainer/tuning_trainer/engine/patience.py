"""Early stopping: ends a training whose watched metric has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tuning_trainer.config.train import Train
from tuning_trainer.engine.watched import Watched
from tuning_trial.environment import Objective


class Patience:
    """Counts evaluations without a better value."""

    def __init__(self, train: Train, objectives: Iterable[Objective]) -> None:
        self._limit = train.patience
        self._watched = Watched(train, objectives)
        self._best = -math.inf
        self._waited = 0

    def exhausted(self, metrics: Mapping[str, float]) -> bool:
        """Takes one evaluation; whether training should end. Raises `SettingError` for a metric that is not
        reported.
        """
        if self._limit is None:
            return False
        value = self._watched.gain(metrics)
        if value > self._best:
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        return self._waited >= self._limit

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"best": self._best, "waited": self._waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self._best, self._waited = state["best"], state["waited"]
