"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from tuning_trainer.config import schedule as settings

_Warmed = (
    settings.Constant
    | settings.StepDecay
    | settings.Exponential
    | settings.Cosine
    | settings.Polynomial
    | settings.Plateau
)

Factor = Callable[[int], float]
"""Step from 0 -> factor on the learning rate for that step."""


def factor(schedule: settings.Schedule, *, epochs: int, steps_per_epoch: int) -> Factor | None:
    """The factor of every step; None when it is always 1. `epochs` is used where the schedule has no horizon of its
    own.
    """
    horizon = (schedule.horizon or epochs) * steps_per_epoch
    if isinstance(schedule, settings.OneCycle):
        return _one_cycle(schedule, horizon)
    warmup = round(schedule.warmup * steps_per_epoch)
    decay = _decay(schedule, horizon=horizon, warmup=warmup, steps_per_epoch=steps_per_epoch)
    if warmup == 0:
        return decay
    after = decay or _one

    def warmed(step: int) -> float:
        return (step + 1) / warmup * after(step) if step < warmup else after(step)

    return warmed


def _one_cycle(schedule: settings.OneCycle, horizon: int) -> Factor:
    """At step 0 `start`, at the top 1, at the last step `floor`."""
    top = max(1.0, schedule.rise * horizon - 1)

    def cycle(step: int) -> float:
        if step <= top:
            return schedule.start + (1 - schedule.start) * _half_cosine(1 - step / top)
        return schedule.floor + (1 - schedule.floor) * _half_cosine(
            min(1.0, (step - top) / max(1.0, horizon - 1 - top))
        )

    return cycle


def _half_cosine(share: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * share))


def _decay(schedule: _Warmed, *, horizon: int, warmup: int, steps_per_epoch: int) -> Factor | None:
    match schedule:
        case settings.Constant() | settings.Plateau():
            return None
        case settings.StepDecay():
            gamma, every = schedule.gamma, schedule.every * steps_per_epoch
            return lambda step: float(gamma ** (step // every))
        case settings.Exponential():
            gamma = schedule.gamma
            return lambda step: float(gamma ** (step // steps_per_epoch))
        case settings.Cosine():
            floor, length = schedule.floor, max(1, horizon - warmup)
            return lambda step: floor + (1 - floor) * _half_cosine(_share(step - warmup, length))
        case settings.Polynomial():
            bottom, power, span = schedule.floor, schedule.power, max(1, horizon - warmup)
            return lambda step: float(bottom + (1 - bottom) * (1 - _share(step - warmup, span)) ** power)


def _share(step: int, length: int) -> float:
    return min(1.0, max(0.0, step / length))


def _one(step: int) -> float:
    return 1.0
