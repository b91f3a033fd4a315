"""What breeding algorithms share: known trials as members with losses, and children bred from them. Pure; randomness is
an argument.

A gene is the key of an active axis. Ordered values are crossed and mutated by their place in [0, 1], so that scales and
priors count; choices are taken from either parent or drawn anew. A child is built parents first: an axis that only its
own combination of values makes active is drawn.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import Goal
from tuning_operator.search.ask import Ask
from tuning_operator.search.dimension import Dimension, Key
from tuning_operator.search.known import Point
from tuning_operator.search.pareto import constrained_fronts, crowding
from tuning_operator.search.seeds import draw
from tuning_operator.search.space import Axis, Space

_CROSSOVER_SPREAD, _MUTATION_SPREAD = 15.0, 20.0
"""Distribution indices of Deb's operators: larger ones keep children nearer to their parents."""


@dataclass(frozen=True, slots=True)
class Member:
    """A known trial. Infinite violation: its parameters do not work, and it has no losses."""

    number: int
    genes: dict[int, Key] = field(hash=False)
    losses: tuple[float, ...]
    violation: float
    generation: int | None = None


def members(ask: Ask) -> list[Member]:
    """Known trials from which something can be learned, by number."""
    signs = [-1.0 if goal is Goal.MAXIMIZE else 1.0 for goal in ask.problem.goals]
    return [_member(point, signs) for point in ask.known.points if point.useful]


def _member(point: Point, signs: Sequence[float]) -> Member:
    broken = point.values is None
    losses = () if point.values is None else tuple(s * v for s, v in zip(signs, point.values, strict=True))
    return Member(point.number, dict(point.key), losses, math.inf if broken else point.violation, point.generation)


def ranked(pool: Sequence[Member]) -> list[Member]:
    """Best first: by front, then the less crowded first (the crowded comparison of Deb et al., 2002)."""
    found: list[Member] = []
    for front in constrained_fronts([m.losses for m in pool], [m.violation for m in pool]):
        distance = crowding([pool[index].losses for index in front]) if pool[front[0]].violation <= 0 else None
        order = range(len(front)) if distance is None else sorted(range(len(front)), key=lambda i: -distance[i])
        found += [pool[front[place]] for place in order]
    return found


def child(
    space: Space, one: Member, other: Member | None, *, mutation: float | None, rng: random.Random
) -> dict[str, JSONScalar]:
    """Bred from one parent or two. `mutation` is the probability for each gene; 1/d if None."""
    place = {axis.name: index for index, axis in enumerate(space.axes)}
    rate = mutation if mutation is not None else 1.0 / max(1, sum(axis.values.count != 1 for axis in space.axes))

    def choose(axis: Axis) -> Key:
        index = place[axis.name]
        keys = [parent.genes[index] for parent in (one, other) if parent is not None and index in parent.genes]
        if not keys:
            return draw(axis.values, rng)
        key = keys[0] if len(keys) == 1 else crossed(axis.values, keys[0], keys[1], rng)
        return mutated(axis.values, key, rng) if rng.random() < rate else key

    return space.build(choose)


def crossed(dimension: Dimension, one: Key, other: Key, rng: random.Random) -> Key:
    """One child's gene: of choices either parent's; of ordered values by simulated binary crossover, half the time."""
    if not dimension.ordered or one == other:
        return one if rng.random() < 0.5 else other
    if rng.random() < 0.5:
        return one if rng.random() < 0.5 else other
    low, high = sorted((dimension.unit(one), dimension.unit(other)))
    if high - low < 1e-14:
        return one
    first, second = simulated_binary(low, high, rng.random(), spread=_CROSSOVER_SPREAD)
    return dimension.from_unit(first if rng.random() < 0.5 else second)


def simulated_binary(low: float, high: float, share: float, *, spread: float) -> tuple[float, float]:
    """Both children of two places in [0, 1], low < high (Deb and Agrawal, 1995, with bounds); `share` is random."""

    def factor(bound: float) -> float:
        alpha = 2.0 - (1.0 + 2.0 * bound / (high - low)) ** -(spread + 1.0)
        if share <= 1.0 / alpha:
            return float((share * alpha) ** (1.0 / (spread + 1.0)))
        return float((1.0 / (2.0 - share * alpha)) ** (1.0 / (spread + 1.0)))

    middle, width = (low + high) / 2, (high - low) / 2
    return max(0.0, middle - factor(low) * width), min(1.0, middle + factor(1.0 - high) * width)


def mutated(dimension: Dimension, key: Key, rng: random.Random) -> Key:
    """Another value: of choices any, of ordered values by polynomial mutation, at least the neighbour."""
    if dimension.count == 1:
        return key
    if not dimension.ordered:
        other = rng.randrange(int(dimension.count or 0) - 1)
        return other if other < key else other + 1
    moved = polynomial(dimension.unit(key), rng.random(), spread=_MUTATION_SPREAD)
    return at_least_neighbour(dimension, key, moved)


def at_least_neighbour(dimension: Dimension, key: Key, unit: float) -> Key:
    """The value at a place in [0, 1]; if that is the same finite value, the next one in this direction."""
    found = dimension.from_unit(unit)
    if dimension.count is None or found != key:
        return found
    up = unit >= dimension.unit(key)
    if (key == dimension.count - 1) if up else (key == 0):
        up = not up
    return int(key) + (1 if up else -1)


def polynomial(unit: float, share: float, *, spread: float) -> float:
    """Polynomial mutation of a place in [0, 1] (Deb and Goyal, 1996, with bounds); `share` is random."""
    power = 1.0 / (spread + 1.0)
    if share < 0.5:
        step = (2.0 * share + (1.0 - 2.0 * share) * (1.0 - unit) ** (spread + 1.0)) ** power - 1.0
    else:
        step = 1.0 - (2.0 * (1.0 - share) + (2.0 * share - 1.0) * unit ** (spread + 1.0)) ** power
    return min(max(unit + float(step), 0.0), 1.0)
