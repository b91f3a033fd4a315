"""Successive halving and Hyperband as in the papers: a rung is decided when every trial of it is in (Li et al., 2018).

Trials fill bracket after bracket in the order of their numbers, and the next bracket begins while one waits for its
last trial, so that no slot idles. A trial that failed or was stopped counts as the worst. Where the study's limit cuts
the last bracket short, it is as if it had been meant to have so many.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from tuning_operator.search.schedulers.ladder import KEPT, Bracket
from tuning_operator.search.schedulers.order import ranked
from tuning_operator.search.schedulers.table import Row, State, Table, Verdict


@dataclass(frozen=True, slots=True)
class Block:
    """One bracket of one round: which numbers it has, and how many go on to each rung."""

    bracket: int
    budgets: tuple[int, ...]
    first: int
    size: int
    reduction: int

    def going_on(self, rung: int) -> int:
        """How many reach this rung; the last one always gets somebody."""
        return max(1, self.size // int(self.reduction**rung))


class Synchronous:
    def __init__(self, brackets: Sequence[Bracket], *, reduction: int, trials: int | None) -> None:
        """`trials` is the study's limit."""
        self._brackets = brackets
        self._reduction = reduction
        self._trials = trials
        self._round = sum(bracket.trials for bracket in brackets)
        self._block = lru_cache(maxsize=KEPT)(self._place)

    def rungs(self, number: int) -> tuple[int, ...]:
        return self._block(number).budgets

    def bracket(self, number: int) -> int:
        return self._block(number).bracket

    def until(self, number: int, rung: int) -> int:
        return self.rungs(number)[rung + 1]

    def judge(self, table: Table, number: int) -> Verdict:
        return Verdict.PAUSE

    def promotable(self, table: Table, *, complete: bool = False) -> list[int]:
        found: list[tuple[int, int, int]] = []
        for block, rows in self._blocks(table, complete=complete):
            for rung, chosen, _ in _decided(block, rows):
                found += [
                    (-block.budgets[rung], place, row.number)
                    for place, row in enumerate(chosen)
                    if row.state is State.PAUSED and not row.promoted[rung]
                ]
        return [number for _, _, number in sorted(found)]

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        return sorted(
            row.number
            for block, rows in self._blocks(table, complete=complete)
            for rung, _, dropped in _decided(block, rows)
            for row in dropped
            if row.state is State.PAUSED and len(row.losses) == rung + 1
        )

    def _place(self, number: int) -> Block:
        rounds, place = divmod(number, self._round)
        first = rounds * self._round
        for index, bracket in enumerate(self._brackets):
            if place < bracket.trials:
                size = bracket.trials if self._trials is None else min(bracket.trials, max(1, self._trials - first))
                return Block(index, bracket.budgets, first, size, self._reduction)
            place -= bracket.trials
            first += bracket.trials
        raise AssertionError("a number has its place in the round")

    def _blocks(self, table: Table, *, complete: bool) -> Iterator[tuple[Block, list[Row]]]:
        """Brackets that have begun and in which somebody waits, with their trials."""
        block: Block | None = None
        found: dict[int, tuple[Block, list[Row]]] = {}
        for row in table:
            if block is None or not block.first <= row.number < block.first + block.size:
                block = self._block(row.number)
                found.setdefault(block.first, (block, []))
            found[block.first][1].append(row)
        for block, rows in found.values():
            if any(row.state is State.PAUSED for row in rows):
                yield (replace(block, size=min(block.size, len(rows))) if complete else block), rows


def _decided(block: Block, rows: Sequence[Row]) -> Iterator[tuple[int, list[Row], list[Row]]]:
    """For each rung that everybody is in, who goes on and who does not, as far as rungs are complete."""
    members = list(rows)
    if len(members) < block.size:
        return
    for rung in range(len(block.budgets) - 1):
        if any(len(row.losses) <= rung and row.state is not State.ENDED for row in members):
            return
        # Who was promoted has had its place, whatever became of it; who has ended otherwise cannot go on.
        gone_on = [row for row in members if len(row.losses) > rung and row.promoted[rung]]
        able = [row for row in ranked(members, rung) if not row.promoted[rung] and row.state is not State.ENDED]
        chosen = gone_on + able[: max(0, block.going_on(rung + 1) - len(gone_on))]
        names = {row.number for row in chosen}
        yield rung, chosen, [row for row in members if row.number not in names]
        members = [row for row in members if row.number in names]
