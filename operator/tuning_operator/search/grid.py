"""Every point of a finite space, in order: the trial's number is the point's index, past those forbidden or tried."""

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.search.ask import Ask, NothingLeftError
from tuning_operator.search.choice import grid_of
from tuning_operator.search.types import Suggestion

_MOST_STEPS = 50_000
"""Forbidden points that are passed over in a row, until the rest counts as forbidden too."""


def propose(ask: Ask) -> Suggestion:
    size = grid_of(ask.space).size
    for step in range(min(size, _MOST_STEPS)):
        index = (ask.number + step) % size
        key = ask.space.key_at(index)
        if ask.new_key(key):
            return Suggestion(
                ask.space.point(key),
                by=AlgorithmName.GRID.value,
                known=ask.known.results,
                reason=f"grid point {index + 1} of {size}",
            )
    raise NothingLeftError(f"of {min(size, _MOST_STEPS)} grid points in a row each was forbidden or tried")
