"""Early stopping: ends a training whose watched metric has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.train import Train
from tuning_trial.environment import Objective

_LOWER_IS_BETTER = frozenset(
    {"val_loss", "val_mse", "val_mae", "val_log_loss", "val_calibration_error", "val_perplexity", "val_bits_per_byte"}
)


class Patience:
    """Counts evaluations without a better value."""

    def __init__(self, train: Train, objectives: Iterable[Objective]) -> None:
        self._limit = train.patience
        first = next((o for o in objectives if o.metric.startswith("val_")), None)
        self.metric = train.monitor or (first.metric if first else "val_loss")
        self._maximize = self.metric not in _LOWER_IS_BETTER
        if first is not None and first.metric == self.metric:
            self._maximize = first.maximize
        self._best = -math.inf
        self._waited = 0

    def exhausted(self, metrics: Mapping[str, float]) -> bool:
        """Takes one evaluation; whether training should end. Raises `SettingError` for a metric that is not
        reported.
        """
        if self._limit is None:
            return False
        if self.metric not in metrics:
            raise SettingError(
                f"train.monitor is {self.metric!r}, which is not reported; use one of {', '.join(metrics)}"
            )
        value = metrics[self.metric] if self._maximize else -metrics[self.metric]
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
