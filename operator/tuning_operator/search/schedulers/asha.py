"""Asynchronous successive halving (Li et al., 2020), in one bracket or, as asynchronous Hyperband, in several.

Nothing waits: whenever a value comes in, or a slot is free, the best share of what is there decides. A value that is
not finite is never promoted.
"""

from collections.abc import Callable, Sequence

from tuning_operator.api.scheduling import ASHAMode
from tuning_operator.search.schedulers.order import ranked, usable
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
        self._assign = assign

    def rungs(self, number: int) -> tuple[int, ...]:
        return self._ladders[self._assign(number)]

    def bracket(self, number: int) -> int:
        return self._assign(number)

    def until(self, number: int, rung: int) -> int:
        budgets = self.rungs(number)
        return budgets[rung + 1] if self._mode is ASHAMode.PAUSE else budgets[-1]

    def judge(self, table: Table, number: int) -> Verdict:
        mine = self._mates(table, self._assign(number))
        row = next(each for each in mine if each.number == number)
        rung = len(row.losses) - 1
        if not usable(row.losses[rung]):
            return Verdict.STOP
        if self._mode is ASHAMode.PAUSE:
            return Verdict.PAUSE
        best = ranked(mine, rung)
        reached = sum(len(each.losses) > rung for each in mine)
        if self._mode is ASHAMode.STOP:
            share = -(-reached // self._reduction)
            return Verdict.GO_ON if row in best[:share] else Verdict.STOP
        # The best so far goes on even where it is alone: a slot is better used by it than by a random trial.
        return Verdict.GO_ON if row in best[: max(1, reached // self._reduction)] else Verdict.PAUSE

    def promotable(self, table: Table) -> list[int]:
        found: list[tuple[int, int, int]] = []
        for bracket, budgets in enumerate(self._ladders):
            mine = self._mates(table, bracket)
            for rung in range(len(budgets) - 1):
                reached = sum(len(each.losses) > rung for each in mine)
                for place, row in enumerate(ranked(mine, rung)[: reached // self._reduction]):
                    if row.state is State.PAUSED and len(row.losses) == rung + 1 and not row.promoted[rung]:
                        found.append((-budgets[rung], place, row.number))
        return [number for _, _, number in sorted(found)]

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        if not complete:
            return []
        found: list[int] = []
        for bracket, budgets in enumerate(self._ladders):
            mine = self._mates(table, bracket)
            for rung in range(len(budgets) - 1):
                most = sum(len(each.losses) > rung or each.state is not State.ENDED for each in mine)
                for row in ranked(mine, rung)[most // self._reduction :]:
                    if row.state is State.PAUSED and len(row.losses) == rung + 1:
                        found.append(row.number)
        return sorted(found)

    def _mates(self, table: Table, bracket: int) -> Sequence[Row]:
        if len(self._ladders) == 1:
            return table
        return [row for row in table if self._assign(row.number) == bracket]
