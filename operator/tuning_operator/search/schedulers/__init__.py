"""Schedulers: which trial may train on. Pure functions over committed rung tables; no clock, no randomness."""

from functools import lru_cache

from tuning_operator.api.scheduling import (
    ASHAMode,
    ASHASettings,
    Fidelity,
    HyperbandMode,
    HyperbandSettings,
    MedianSettings,
    SchedulerName,
)
from tuning_operator.api.scheduling import Scheduler as SchedulerSpec
from tuning_operator.api.study import StudySpec
from tuning_operator.search.schedulers.asha import Asha
from tuning_operator.search.schedulers.ladder import brackets, ladder, turn
from tuning_operator.search.schedulers.median import Median, steps
from tuning_operator.search.schedulers.synchronous import Synchronous
from tuning_operator.search.schedulers.table import Scheduler

__all__ = ["Scheduler", "scheduler_for"]


def scheduler_for(spec: StudySpec) -> Scheduler | None:
    """The scheduler that a study asks for; None where every trial trains to its end (and with PBT, whose generations
    are trials).
    """
    if spec.fidelity is None:
        return None
    return _scheduler(spec.scheduler, spec.fidelity, spec.limits.trials)


@lru_cache(maxsize=256)
def _scheduler(scheduler: SchedulerSpec, fidelity: Fidelity, trials: int | None) -> Scheduler | None:
    least, full, reduction = fidelity.min, fidelity.max, fidelity.reduction
    match scheduler.name:
        case SchedulerName.ASHA:
            mode = (scheduler.asha or ASHASettings()).mode
            return Asha([ladder(least, full, reduction)], reduction=reduction, mode=mode)
        case SchedulerName.SUCCESSIVE_HALVING:
            return Synchronous(brackets(least, full, reduction, most=1), reduction=reduction, trials=trials)
        case SchedulerName.HYPERBAND:
            return _hyperband(scheduler.hyperband or HyperbandSettings(), fidelity, trials)
        case SchedulerName.MEDIAN:
            settings = scheduler.median or MedianSettings()
            return Median(steps(least, full, settings.interval), startup=settings.startup_trials)
        case _:
            return None


def _hyperband(settings: HyperbandSettings, fidelity: Fidelity, trials: int | None) -> Scheduler:
    found = brackets(fidelity.min, fidelity.max, fidelity.reduction, most=settings.brackets)
    if settings.mode is HyperbandMode.SYNCHRONOUS:
        return Synchronous(found, reduction=fidelity.reduction, trials=trials)
    shares = [bracket.trials for bracket in found]
    return Asha(
        [bracket.budgets for bracket in found],
        reduction=fidelity.reduction,
        mode=ASHAMode.HYBRID,
        assign=lambda number: turn(number, shares),
    )
