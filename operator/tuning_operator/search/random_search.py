"""Random points, evenly over the space; and what every other algorithm falls back on when it has nothing new."""

import random

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.base import JSONScalar
from tuning_operator.search.ask import Ask
from tuning_operator.search.seeds import draw
from tuning_operator.search.types import Suggestion

_DRAWS = 64
"""Draws that may hit a point seen before, until one of the unseen is taken by index."""


def propose(ask: Ask) -> Suggestion:
    return at_random(ask, "random")


def at_random(ask: Ask, reason: str) -> Suggestion:
    """A random point that was not seen, for this reason."""
    return Suggestion(random_point(ask), by=AlgorithmName.RANDOM.value, known=ask.known.results, reason=reason)


def random_point(ask: Ask) -> dict[str, JSONScalar]:
    """A random point that was not seen before, where there is one."""
    rng = random.Random(ask.seed("random"))
    point = ask.space.build(lambda axis: draw(axis.values, rng))
    for _ in range(_DRAWS - 1):
        if ask.new(point):
            return point
        point = ask.space.build(lambda axis: draw(axis.values, rng))
    if ask.new(point):
        return point
    # Only an infinite space may repeat a point in the end: a branch of it may be finite, and drawn almost always.
    return _any_unseen(ask, rng) or point


def _any_unseen(ask: Ask, rng: random.Random) -> dict[str, JSONScalar] | None:
    """One of the points not seen before, evenly; None in an infinite space."""
    lattice = ask.space.lattice
    if lattice is None:
        return None
    indices = ask.seen.indices(ask.space)
    index = rng.randrange(lattice.size - len(indices))
    for taken in indices:  # the index-th of those not taken
        if taken > index:
            break
        index += 1
    return ask.space.point(tuple(lattice.keys(index).items()))
