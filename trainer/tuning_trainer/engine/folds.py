"""Cross-validation within one trial: a model for each fold, all trained epoch by epoch, so that every report, rung and
decision to stop is about the mean over the folds.

Each fold has random numbers of its own: it trains bit by bit as it would alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tuning_trainer.engine.loop import Progress
from tuning_trainer.engine.training import Training

Random = dict[str, torch.Tensor]
"""States of random number generators by device."""


class Folds:
    """The loops of all folds with the methods of `engine.loop.Loop`."""

    def __init__(self, trainings: Sequence[Training], random: Sequence[Random]) -> None:
        """`random` are the random numbers of each fold as they were when its model had been built."""
        self._trainings = trainings
        self._losses = [math.nan] * len(trainings)
        self._random = list(random)
        self.average = None
        self.room = trainings[0].loop.room
        self.progress = Progress()

    @property
    def steps(self) -> int:
        """Steps of all folds, of everything that is trained."""
        return sum(training.loop.steps for training in self._trainings)

    def epoch(self) -> float | None:
        """Trains every fold to the end of the current epoch; the mean of their mean losses, or None when asked to stop
        before that. Raises `DivergedError` when the loss of one is not finite.
        """
        try:
            for index, training in enumerate(self._trainings):
                if training.loop.progress.epoch > self.progress.epoch:
                    continue  # before it was stopped
                _set_random(self._random[index])
                mean = training.loop.epoch()
                self._random[index] = random_of(training)
                if mean is None:
                    return None
                self._losses[index] = mean
        finally:
            self._count()
        return math.fsum(self._losses) / len(self._losses)

    def state(self) -> dict[str, Any]:
        """Everything the rest of the training depends on, for a checkpoint."""
        states = []
        for training, random in zip(self._trainings, self._random, strict=True):
            _set_random(random)
            states.append(training.loop.state())
        return {"folds": states, "losses": list(self._losses), "epoch": self.progress.epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`."""
        for index, (training, kept) in enumerate(zip(self._trainings, state["folds"], strict=True)):
            training.loop.restore(kept)
            self._random[index] = random_of(training)
        self._losses = list(state["losses"])
        self._count()

    def inherit(self, state: Mapping[str, Any]) -> None:
        """Goes on from the `state` of another training, as `Loop.inherit`."""
        for index, (training, kept) in enumerate(zip(self._trainings, state["folds"], strict=True)):
            training.loop.inherit(kept)
            self._random[index] = random_of(training)
        self._count()

    def _count(self) -> None:
        """Epochs are those that all folds have completed."""
        each = [training.loop.progress for training in self._trainings]
        self.progress.epoch = min(progress.epoch for progress in each)
        self.progress.step = sum(progress.step for progress in each)
        self.progress.position = sum(progress.position for progress in each if progress.epoch == self.progress.epoch)


def validate(trainings: Sequence[Training]) -> dict[str, float]:
    """Metrics on validation data, `val_*`: of one model, or the mean over the folds and, as `val_*_std`, the standard
    deviation between them (with n - 1).
    """
    each = [t.evaluate(t.data.validation, "val") for t in trainings if t.data.validation is not None]
    if len(each) == 1:
        return each[0]
    metrics: dict[str, float] = {}
    deviations: dict[str, float] = {}
    for name in each[0]:
        values = [found[name] for found in each]
        mean = metrics[name] = math.fsum(values) / len(values)
        deviations[f"{name}_std"] = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return metrics | deviations


def random_of(training: Training) -> Random:
    """The random numbers to come, on the devices of a training."""
    state = {"cpu": torch.get_rng_state()}
    if next(training.module.parameters()).is_cuda:
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random(state: Random) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
