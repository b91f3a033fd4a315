"""Who is better at a rung. One objective: the smaller loss. Several: front by front, and within one the less crowded
first. What is not finite comes last; of equal ones the lower number.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

from tuning_operator.search.pareto import crowding, fronts
from tuning_operator.search.schedulers.table import Loss, Row


def usable(loss: Loss) -> bool:
    return isfinite(loss[0]) if len(loss) == 1 else all(map(isfinite, loss))


def ranked(rows: Sequence[Row], rung: int) -> list[Row]:
    """Those with a usable loss at this rung, the best first. `rows` are in the order of their numbers."""
    there = [row for row in rows if len(row.losses) > rung]
    if not there or len(there[0].losses[rung]) == 1:
        there = [row for row in there if isfinite(row.losses[rung][0])]
        return sorted(there, key=lambda row: row.losses[rung][0])  # keeps equal ones in their order
    there = [row for row in there if usable(row.losses[rung])]
    return [there[index] for index in _front_by_front(tuple([(row.losses[rung], row.number) for row in there]))]


def place(rows: Sequence[Row], rung: int, mine: Row) -> int:
    """How many of these are better at the rung, where `mine` has a usable loss."""
    if len(mine.losses[rung]) == 1:
        own = (mine.losses[rung], mine.number)
        return sum([(row.losses[rung], row.number) < own for row in rows if len(row.losses) > rung])
    return next(index for index, row in enumerate(ranked(rows, rung)) if row.number == mine.number)


@lru_cache(maxsize=16)
def _front_by_front(values: tuple[tuple[Loss, int], ...]) -> tuple[int, ...]:
    """Kept, because one decision asks for the same rung several times, and the next one for most of them again."""
    found: list[int] = []
    losses = [loss for loss, _ in values]
    for front in fronts(losses):
        room = crowding([losses[index] for index in front])
        order = sorted(range(len(front)), key=lambda at: (-room[at], values[front[at]][1]))
        found += [front[at] for at in order]
    return tuple(found)
