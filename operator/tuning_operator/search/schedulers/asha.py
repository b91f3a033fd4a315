"""Asynchronous successive halving (Li et al., 2020), in one bracket or, as asynchronous Hyperband, in several.

Nothing waits: whenever a value comes in, or a slot is free, the best share of what is there decides. A value that is
not finite is never promoted.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from tuning_operator.api.scheduling import ASHAMode
from tuning_operator.search.schedulers.ladder import KEPT
from tuning_operator.search.schedulers.order import place, ranked, usable
from tuning_operator.search.schedulers.table import Row, State, Table, Verdict


class Asha:
    def __init__(
        self,
        ladders: Sequence[tuple[int, ...]],
        *,
        reduction: int,
        mode: ASHAMode,
        assign: Callable[[int], int] = lambda number: 0,
    ) -> None:
        """`ladders` are the budgets of each bracket, `assign` says which bracket a trial is in."""
        self._ladders = ladders
        self._reduction = reduction
        self._mode = mode
        self._assign = lru_cache(maxsize=KEPT)(assign)

    def rungs(self, number: int) -> tuple[int, ...]:
        return self._ladders[self._assign(number)]

    def bracket(self, number: int) -> int:
        return self._assign(number)

    def until(self, number: int, rung: int) -> int:
        budgets = self.rungs(number)
        return budgets[rung + 1] if self._mode is ASHAMode.PAUSE else budgets[-1]

    def judge(self, table: Table, number: int) -> Verdict:
        row = next(each for each in table if each.number == number)
        rung = len(row.losses) - 1
        if not usable(row.losses[rung]):
            return Verdict.STOP
        if self._mode is ASHAMode.PAUSE:
            return Verdict.PAUSE
        there = [each for each in self._mates(table, self._assign(number)) if len(each.losses) > rung]
        better = place(there, rung, row)
        if self._mode is ASHAMode.STOP:
            share = -(-len(there) // self._reduction)
            return Verdict.GO_ON if better < share else Verdict.STOP
        # The best so far goes on even where it is alone: a slot is better used by it than by a random trial.
        return Verdict.GO_ON if better < max(1, len(there) // self._reduction) else Verdict.PAUSE

    def promotable(self, table: Table, *, complete: bool = False) -> list[int]:
        if not any(row.state is State.PAUSED for row in table):
            return []
        found: list[tuple[int, int, int]] = []
        for bracket, budgets in enumerate(self._ladders):
            mine = self._mates(table, bracket)
            over = complete and not any(row.state is State.RUNNING for row in mine)
            for rung in range(len(budgets) - 1):
                mine = [row for row in mine if len(row.losses) > rung]
                waiting = [row for row in ranked(mine, rung)[: len(mine) // self._reduction] if _waits(row, rung)]
                if over and not waiting and _last(mine, rung):
                    # Few as they are, the search is not over before one of them has had the full budget.
                    waiting = [row for row in ranked(mine, rung) if _waits(row, rung)][:1]
                found += [(-budgets[rung], at, row.number) for at, row in enumerate(waiting)]
        return [number for _, _, number in sorted(found)]

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        """Those that stay behind even if everybody who may still come to their rung does, and all are worse."""
        if not complete or not any(row.state is State.PAUSED for row in table):
            return []
        found: list[int] = []
        for bracket, budgets in enumerate(self._ladders):
            mine = self._mates(table, bracket)
            coming = sum(not row.losses and row.state is State.RUNNING for row in mine)
            for rung in range(len(budgets) - 1):
                mine = [row for row in mine if len(row.losses) > rung]
                best = ranked(mine, rung)
                hopeful = [row for row in best[: (len(mine) + coming) // self._reduction] if _waits(row, rung)]
                if not hopeful and _last(mine, rung):
                    hopeful = [row for row in best if _waits(row, rung)][:1]
                kept = {row.number for row in hopeful}
                found += [row.number for row in mine if _waits(row, rung) and row.number not in kept]
                on_the_way = sum(len(row.losses) == rung + 1 and row.state is State.RUNNING for row in mine)
                coming += on_the_way + len(hopeful)
        return sorted(found)

    def _mates(self, table: Table, bracket: int) -> Sequence[Row]:
        if len(self._ladders) == 1:
            return table
        return [row for row in table if self._assign(row.number) == bracket]


def _waits(row: Row, rung: int) -> bool:
    return row.state is State.PAUSED and len(row.losses) == rung + 1 and not row.promoted[rung]


def _last(rows: Sequence[Row], rung: int) -> bool:
    """Nobody has come further, with a value."""
    return not any(len(row.losses) > rung + 1 and usable(row.losses[rung + 1]) for row in rows)
