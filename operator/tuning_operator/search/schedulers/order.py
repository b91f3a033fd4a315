"""Who is better at a rung. One objective: the smaller loss. Several: front by front, and within one the less crowded
first. What is not finite comes last; of equal ones the lower number.
"""

import math
from collections.abc import Sequence

from tuning_operator.search.pareto import crowding, fronts
from tuning_operator.search.schedulers.table import Loss, Row


def usable(loss: Loss) -> bool:
    return all(map(math.isfinite, loss))


def ranked(rows: Sequence[Row], rung: int) -> list[Row]:
    """Those with a usable loss at this rung, the best first."""
    there = [row for row in rows if len(row.losses) > rung and usable(row.losses[rung])]
    if not there or len(there[0].losses[rung]) == 1:
        return sorted(there, key=lambda row: (row.losses[rung], row.number))
    found: list[Row] = []
    losses = [row.losses[rung] for row in there]
    for front in fronts(losses):
        room = crowding([losses[index] for index in front])
        order = sorted(range(len(front)), key=lambda at: (-room[at], there[front[at]].number))
        found += [there[front[at]] for at in order]
    return found
