"""Regularised evolution (Real et al., 2019): a tournament's winner has a mutated child, and the oldest dies.

The population are the latest `population` results, whatever their worth: a good point must prove itself by its
children, which noise cannot. So there are no generations to wait for, and any number of trials may run at once.
"""

import random

from tuning_operator.api.algorithm import AlgorithmName, EvolutionSettings
from tuning_operator.api.base import JSONScalar
from tuning_operator.search.ask import Ask
from tuning_operator.search.dimension import Dimension, Key
from tuning_operator.search.genetic import Member, at_least_neighbour, members, mutated, ranked
from tuning_operator.search.quasirandom import quasi_random
from tuning_operator.search.random_search import at_random
from tuning_operator.search.seeds import draw
from tuning_operator.search.space import Axis
from tuning_operator.search.types import Suggestion

_STEP = 0.15
"""Standard deviation of a mutation of an ordered value, as a share of its range."""
_DRAWS = 32
"""Children that may have been seen before, until a random point is taken."""


def propose(ask: Ask) -> Suggestion:
    settings = ask.problem.algorithm.evolution or EvolutionSettings()
    alive = members(ask)[-settings.population :]
    if len(alive) < settings.population:
        return quasi_random(ask, f"first population, {len(alive)} of {settings.population} known: ")
    rng = random.Random(ask.seed("evolution"))
    for _ in range(_DRAWS):
        sample = rng.sample(alive, min(settings.sample, len(alive)))
        winner = ranked(sample)[0]
        parameters = _child(ask, winner, rng)
        if ask.new(parameters):
            parent = f"trial {winner.number}" if winner.number >= 0 else "an earlier result"
            return Suggestion(
                parameters,
                by=AlgorithmName.EVOLUTION.value,
                known=ask.known.results,
                reason=f"child of {parent}, the best of {len(sample)}",
                parent=winner.number,
            )
    return at_random(ask, f"random: {_DRAWS} children were all tried before")


def _child(ask: Ask, parent: Member, rng: random.Random) -> dict[str, JSONScalar]:
    """One parameter is another; those that it makes active are drawn."""
    axes = ask.space.axes
    place = {axis.name: index for index, axis in enumerate(axes)}
    changeable = [index for index in parent.genes if axes[index].values.count != 1]
    changed = rng.choice(changeable) if changeable else None

    def choose(axis: Axis) -> Key:
        index = place[axis.name]
        if index not in parent.genes:
            return draw(axis.values, rng)
        key = parent.genes[index]
        return _changed(axis.values, key, rng) if index == changed else key

    return ask.space.build(choose)


def _changed(dimension: Dimension, key: Key, rng: random.Random) -> Key:
    if not dimension.ordered:
        return mutated(dimension, key, rng)
    place = dimension.unit(key) + rng.gauss(0.0, _STEP)
    reflected = abs(place) if place <= 1 else 2 - place
    return at_least_neighbour(dimension, key, min(max(reflected, 0.0), 1.0))
