"""The best weights so far by the watched metric, which are put back at the end of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.engine.training import Training
from tuning_trainer.engine.watched import Watched


class Best:
    """Keeps a copy of the weights that were judged best, of one model or of each fold's."""

    def __init__(self, trainings: Sequence[Training], watched: Watched) -> None:
        self._trainings = trainings
        self._watched = watched
        self._gain = -math.inf
        self._weights: list[dict[str, Tensor]] = []
        self.metrics: dict[str, float] = {}
        """What was reported of them."""

    def take(self, metrics: Mapping[str, float]) -> None:
        """One evaluation. Raises `SettingError` for a metric that is not reported."""
        gain = self._watched.gain(metrics)
        if gain > self._gain:
            self._gain, self.metrics = gain, dict(metrics)
            self._weights = [_weights(training) for training in self._trainings]

    def put_back(self) -> bool:
        """Gives the models their best weights; whether there were any."""
        if not self._weights:
            return False
        for training, weights in zip(self._trainings, self._weights, strict=True):
            training.module.load_state_dict(weights)
            if training.loop.average is not None:
                training.loop.average.settle()
        return True

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"gain": self._gain, "metrics": dict(self.metrics), "weights": self._weights}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self._gain, self.metrics, self._weights = state["gain"], dict(state["metrics"]), list(state["weights"])


def _weights(training: Training) -> dict[str, Tensor]:
    with torch.no_grad(), training.judged():
        return {name: value.detach().clone() for name, value in training.module.state_dict().items()}
