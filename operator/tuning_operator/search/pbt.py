"""Population based training (Jaderberg et al., 2017): members train side by side, and the worst continue from copies of
the best, with changed parameters.

A trial's parameters never change, so each generation of a member is a trial of its own: trial n is generation n // P
of member n % P. It starts from the checkpoint of its parent: of the member's own last generation, or, where that is
among the worst, of one of the best members' last (exploit), with parameters changed from there (explore). What is
compared is the last value of each member; members need not be at the same generation. A function of the ledger, as
every suggestion is; a member whose last generation failed continues from another one.
"""

import math
import random
from dataclasses import dataclass

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.scheduling import PBTSettings
from tuning_operator.api.study import Goal
from tuning_operator.search.ask import Answer, Ask, NothingLeftError
from tuning_operator.search.dimension import ChoiceDimension, Dimension, Key, RealDimension, StepDimension
from tuning_operator.search.random_search import allowed_point
from tuning_operator.search.seeds import draw
from tuning_operator.search.space import Axis
from tuning_operator.search.types import Exhausted, Suggestion, Waiting

NAME = "PBT"
_DRAWS = 100
"""Changes that may be forbidden, until a copy keeps its parent's parameters."""

Point = dict[str, JSONScalar]


@dataclass(frozen=True, slots=True)
class Member:
    """What a member came to last."""

    trial: int
    loss: float


def propose(ask: Ask) -> Answer:
    settings = ask.problem.scheduler.pbt or PBTSettings()
    population = settings.population
    generation, member = divmod(ask.number, population)
    if generation >= generations(ask):
        return Exhausted(f"every one of {population} members reached the full budget")
    rng = random.Random(ask.seed("pbt"))
    if generation == 0:
        return _first(ask, rng)
    last = ask.number - population
    if last in ask.running:
        return Waiting(f"member {member} still trains generation {generation - 1}")
    members = _members(ask, population)
    mine = members.get(member)
    own = mine if mine is not None and mine.trial == last else None
    ranked = sorted(members.values(), key=lambda each: (each.loss, each.trial))
    count = max(1, math.floor(settings.quantile * population))
    if not ranked:
        return _first(ask, rng, reason=f"generation {generation}: nobody has a value to continue from")
    # The worst of those there are; with few values known the rule of the paper is meant for all members.
    worst = ranked[max(count, len(ranked) - count) :]
    if own is not None and own not in worst:
        reason = f"generation {generation} of member {member} goes on, {ranked.index(own) + 1} of {len(ranked)}"
        return _suggestion(ask, dict(_parameters(ask, last)), generation, parent=last, reason=reason)
    best = [each for each in ranked[:count] if each.trial != last] or ranked[:1]
    parent = rng.choice(best).trial
    changed = _explored(ask, parent, settings, rng)
    why = "is among the worst" if own is not None else "has no value"
    reason = f"generation {generation} of member {member}, which {why}, copies trial {parent}"
    return _suggestion(ask, changed, generation, parent=parent, reason=reason)


def generations(ask: Ask) -> int:
    """How many a member has until it reaches the full budget."""
    fidelity = ask.problem.fidelity
    return 1 if fidelity is None else -(-fidelity.max // fidelity.min)


def _first(ask: Ask, rng: random.Random, reason: str = "first generation: random") -> Suggestion:
    point = allowed_point(ask, lambda: ask.space.build(lambda axis: draw(axis.values, rng)))
    if point is None:
        raise NothingLeftError("no random point is allowed; loosen `forbidden`")
    return _suggestion(ask, point, 0 if ask.number < _population(ask) else ask.number // _population(ask), None, reason)


def _population(ask: Ask) -> int:
    return (ask.problem.scheduler.pbt or PBTSettings()).population


def _members(ask: Ask, population: int) -> dict[int, Member]:
    """The last generation of each member that has a value."""
    sign = -1.0 if ask.problem.goals[0] is Goal.MAXIMIZE else 1.0
    found: dict[int, Member] = {}
    for point in ask.known.points:  # by number, so later generations replace earlier ones
        if 0 <= point.number < ask.number and point.values is not None:
            found[point.number % population] = Member(point.number, sign * point.values[0])
    return found


def _parameters(ask: Ask, trial: int) -> Point:
    point = next(point for point in ask.known.points if point.number == trial)
    return dict(ask.space.point(point.key))


def _explored(ask: Ask, parent: int, settings: PBTSettings, rng: random.Random) -> Point:
    keys = dict(next(point for point in ask.known.points if point.number == parent).key)
    place = {axis.name: index for index, axis in enumerate(ask.space.axes)}

    def choose(axis: Axis) -> Key:
        key = keys.get(place[axis.name])
        if key is None or rng.random() < settings.resample:
            return draw(axis.values, rng)
        return perturbed(axis.values, key, settings.perturbation, up=rng.random() < 0.5)

    changed = allowed_point(ask, lambda: ask.space.build(choose), draws=_DRAWS)
    return _parameters(ask, parent) if changed is None else changed


def perturbed(dimension: Dimension, key: Key, factor: float, *, up: bool) -> Key:
    """A value times or divided by the factor, within the range; of a range that reaches 0 or below, moved by as large a
    share of it. Ordered values move by at least one place; those without an order stay.
    """
    match dimension:
        case RealDimension(low=low, high=high):
            if low > 0:
                return min(max(float(key) * (factor if up else 1 / factor), low), high)
            width = (high - low) * (factor - 1)
            return min(max(float(key) + (width if up else -width), low), high)
        case StepDimension(count=count):
            value = float(dimension.value(key))
            moved = value * (factor if up else 1 / factor) if dimension.value(0) > 0 else value
            near = round((moved * dimension.scale - dimension.low) / dimension.step)
            place = max(near, int(key) + 1) if up else min(near, int(key) - 1)
            return min(max(place, 0), count - 1)
        case ChoiceDimension(count=count, ordered=True):
            return min(max(int(key) + (1 if up else -1), 0), count - 1)
    return key


def _suggestion(ask: Ask, parameters: Point, generation: int, parent: int | None, reason: str) -> Suggestion:
    return Suggestion(
        parameters,
        by=NAME,
        known=ask.known.results,
        reason=reason,
        generation=generation,
        parent=parent,
    )
