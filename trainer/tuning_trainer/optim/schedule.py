"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from tuning_trainer.config import schedule as settings

Factor = Callable[[int], float]
"""Step from 0 -> factor on the learning rate for that step."""


def factor(schedule: settings.Schedule, *, epochs: int, steps_per_epoch: int) -> Factor | None:
    """The factor of every step; None when it is always 1. `epochs` is used where the schedule has no horizon of its
    own.
    """
    horizon = (schedule.horizon or epochs) * steps_per_epoch
    warmup = round(schedule.warmup * steps_per_epoch)
    decay = _decay(schedule, horizon=horizon, warmup=warmup, steps_per_epoch=steps_per_epoch)
    if warmup == 0:
        return decay
    after = decay or _one

    def warmed(step: int) -> float:
        return (step + 1) / warmup * after(step) if step < warmup else after(step)

    return warmed


def _decay(schedule: settings.Schedule, *, horizon: int, warmup: int, steps_per_epoch: int) -> Factor | None:
    match schedule:
        case settings.Constant():
            return None
        case settings.StepDecay():
            gamma, every = schedule.gamma, schedule.every * steps_per_epoch
            return lambda step: float(gamma ** (step // every))
        case settings.Exponential():
            gamma = schedule.gamma
            return lambda step: float(gamma ** (step // steps_per_epoch))
        case settings.Cosine():
            floor, length = schedule.floor, max(1, horizon - warmup)
            return lambda step: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * _share(step - warmup, length)))


def _share(step: int, length: int) -> float:
    return min(1.0, max(0.0, step / length))


def _one(step: int) -> float:
    return 1.0
