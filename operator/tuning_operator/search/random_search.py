"""Random points, as scales and priors have them; what every other algorithm falls back on when it knows nothing new."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.base import JSONScalar
from tuning_operator.search.ask import Ask, NothingLeftError
from tuning_operator.search.seeds import MOST_DRAWS, draw
from tuning_operator.search.space import PointKey, Space
from tuning_operator.search.types import Suggestion

Point = dict[str, JSONScalar]

_DRAWS = 64
"""Draws that may hit a point that is forbidden or seen before, until one of the others is taken by index."""


def propose(ask: Ask) -> Suggestion:
    return at_random(ask, "random")


def at_random(ask: Ask, reason: str) -> Suggestion:
    """A random point that was not seen, for this reason. Raises `NothingLeftError`."""
    return Suggestion(random_point(ask), by=AlgorithmName.RANDOM.value, known=ask.known.results, reason=reason)


def random_point(ask: Ask) -> Point:
    """A random point that is allowed and was not seen before, where there is one. Raises `NothingLeftError`."""
    rng = random.Random(ask.seed("random"))
    drawn = _drawn(ask.space, rng)
    for key in islice(drawn, _DRAWS):
        if ask.new_key(key):
            return ask.space.point(key)
    found = _by_index(ask, rng)
    if found is None:
        found = _by_patience(ask, drawn)
    return ask.space.point(found)


def allowed_point(ask: Ask, draw: Callable[[], Point], *, draws: int = MOST_DRAWS) -> Point | None:
    """The first of these draws that is allowed, seen before or not."""
    points = (draw() for _ in range(draws))
    return next((point for point in points if ask.space.allowed(point)), None)


def _drawn(space: Space, rng: random.Random) -> Iterator[PointKey]:
    while True:
        yield space.build_key(lambda axis: draw(axis.values, rng))


def _by_index(ask: Ask, rng: random.Random) -> PointKey | None:
    """One of the points that are left, evenly; None in a space whose points cannot be listed."""
    space = ask.space
    if space.lattice is None or space.size is None:
        return None
    taken = ask.seen.indices(space)
    if space.restricted:
        left: Sequence[int] = sorted({*(space.open_indices or ())} - {*taken})
        if not left:
            raise NothingLeftError("every point that is not forbidden was suggested")
        return space.key_at(rng.choice(left))
    index = rng.randrange(space.lattice.size - len(taken))
    for each in taken:  # the index-th of those not taken
        if each > index:
            break
        index += 1
    return space.key_at(index)


def _by_patience(ask: Ask, drawn: Iterator[PointKey]) -> PointKey:
    """The next new point; else one that is allowed: a branch of an infinite space may be finite, and drawn always."""
    allowed = None
    for key in islice(drawn, MOST_DRAWS if ask.space.restricted else 1):
        if ask.new_key(key):
            return key
        if allowed is None and ask.space.allowed_key(key):
            allowed = key
    if allowed is None or ask.space.lattice is not None:
        raise NothingLeftError(f"of {MOST_DRAWS} random points not one is new and allowed; loosen `forbidden`")
    return allowed
