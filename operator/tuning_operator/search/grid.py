"""Every point of a finite space, in order: the trial's number is the point's index."""

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.search.ask import Ask
from tuning_operator.search.choice import grid_of
from tuning_operator.search.types import Suggestion


def propose(ask: Ask) -> Suggestion:
    lattice = grid_of(ask.space)
    size = lattice.size
    index = ask.number % size
    while (key := tuple(lattice.keys(index).items())) in ask.seen:
        index = (index + 1) % size
    return Suggestion(
        ask.space.point(key),
        by=AlgorithmName.GRID.value,
        known=ask.known.results,
        reason=f"grid point {index + 1} of {size}",
    )
