"""The median rule (Golovin et al., 2017): a trial is stopped at a step where its best value so far is worse than the
median of the running averages of the other trials up to that step.
"""

import statistics

from tuning_operator.search.schedulers.order import usable
from tuning_operator.search.schedulers.table import Table, Verdict

LOOKS_MAX = 64
"""A trial's record has room for so many rungs."""


def steps(least: int, full: int, interval: int | None) -> tuple[int, ...]:
    """When trials are looked at: from `least` on at each interval, at most 64 times, and at the full budget."""
    every = max(interval or -(-full // 20), -(-(full - least) // (LOOKS_MAX - 1)), 1)
    return (*range(least, full, every), full)


class Median:
    """Stops, never pauses, and needs no checkpoints. Of several objectives a trial must be worse in each."""

    def __init__(self, budgets: tuple[int, ...], *, startup: int) -> None:
        self._budgets = budgets
        self._startup = startup

    def rungs(self, number: int) -> tuple[int, ...]:
        return self._budgets

    def bracket(self, number: int) -> int:
        return 0

    def until(self, number: int, rung: int) -> int:
        return self._budgets[-1]

    def judge(self, table: Table, number: int) -> Verdict:
        row = next(each for each in table if each.number == number)
        count = len(row.losses)
        if not usable(row.losses[-1]):
            return Verdict.STOP
        curves = [each.losses[:count] for each in table if each is not row and len(each.losses) >= count]
        curves = [curve for curve in curves if all(map(usable, curve))]
        if len(curves) < self._startup:
            return Verdict.GO_ON
        for objective in range(len(row.losses[-1])):
            best = min([loss[objective] for loss in row.losses])
            averages = [sum([loss[objective] for loss in curve]) / count for curve in curves]
            if best <= statistics.median(averages):
                return Verdict.GO_ON
        return Verdict.STOP

    def promotable(self, table: Table, *, complete: bool = False) -> list[int]:
        return []

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        return []
