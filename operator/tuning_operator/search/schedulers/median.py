"""The median rule (Golovin et al., 2017): a trial is stopped at a step where its best value so far is worse than the
median of the running averages of the other trials up to that step.
"""

import statistics
from collections.abc import Sequence

from tuning_operator.search.schedulers.order import usable
from tuning_operator.search.schedulers.table import Loss, Row, Table, Verdict

LOOKS_MAX = 64
"""A trial's record has room for so many rungs."""


def steps(least: int, full: int, interval: int | None) -> tuple[int, ...]:
    """When trials are looked at: from `least` on at each interval, at most 64 times, and at the full budget."""
    every = max(interval or -(-full // 20), -(-(full - least) // (LOOKS_MAX - 1)), 1)
    return (*range(least, full, every), full)


class Median:
    """Looks at the first objective only; stops, never pauses, and needs no checkpoints."""

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
        others = [_average(each.losses[:count]) for each in table if each is not row and _reached(each, count)]
        if len(others) < self._startup:
            return Verdict.GO_ON
        best = min(loss[0] for loss in row.losses)
        return Verdict.STOP if best > statistics.median(others) else Verdict.GO_ON

    def promotable(self, table: Table) -> list[int]:
        return []

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        return []


def _reached(row: Row, count: int) -> bool:
    return len(row.losses) >= count and all(map(usable, row.losses[:count]))


def _average(losses: Sequence[Loss]) -> float:
    return sum(loss[0] for loss in losses) / len(losses)
