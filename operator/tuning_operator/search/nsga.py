"""NSGA-II and NSGA-III (Deb et al., 2002; Deb and Jain, 2014): populations for several objectives and constraints.

Nothing waits for a generation to be whole. Trials belong to the generation that was growing when they were suggested;
a generation is whole once `population` of its results are known, and those that come later join it. Survivors of the
whole generations, together with what is known of the growing one, are ranked anew for every suggestion, so each result
can be a parent at once. All this follows from the ledger: which generation a trial belongs to stands on it, and a trial
of another origin (an enqueued one, an earlier study) counts as one of the first.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tuning_operator.api.algorithm import AlgorithmName, NSGASettings
from tuning_operator.api.base import JSONScalar
from tuning_operator.search import niches
from tuning_operator.search.ask import Ask
from tuning_operator.search.genetic import Member, child, members, ranked
from tuning_operator.search.known import Point
from tuning_operator.search.pareto import constrained_fronts
from tuning_operator.search.quasirandom import quasi_random
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Suggestion

_DRAWS = 32
"""Children that may have been seen before, until a random point is taken."""


@dataclass(frozen=True, slots=True)
class _Past:
    """A whole generation, and who is left after it."""

    before: tuple[Member, ...]
    results: tuple[Member, ...]
    survivors: tuple[Member, ...]


def propose(ask: Ask) -> Suggestion:
    settings = ask.problem.algorithm.nsga or NSGASettings()
    generation, parents = population(ask, settings.population)
    if generation == 0:
        count = len(parents)
        return quasi_random(ask, f"generation 0, {count} of {settings.population} known: ", generation=0)
    rng = random.Random(ask.seed("nsga"))
    for _ in range(_DRAWS):
        parameters, parent = _bred(ask, parents, settings, rng)
        if ask.new(parameters):
            return Suggestion(
                parameters,
                by=ask.problem.choice.name.value,
                known=ask.known.results,
                reason=f"generation {generation}, bred from {len(parents)} parents",
                generation=generation,
                parent=parent,
            )
    found = at_random(ask, f"generation {generation}: random: {_DRAWS} children were all tried before")
    return Suggestion(found.parameters, by=found.by, known=found.known, reason=found.reason, generation=generation)


def population(ask: Ask, size: int) -> tuple[int, Sequence[Member]]:
    """Number of the growing generation, and its possible parents, best first."""
    cohorts: dict[int, list[Member]] = {}
    for member in members(ask):
        cohorts.setdefault(member.generation or 0, []).append(member)
    survivors: tuple[Member, ...] = ()
    generation = 0
    while len(cohorts.get(generation, ())) >= size:
        survivors = _survivors(ask, generation, survivors, tuple(cohorts.pop(generation)), size)
        generation += 1
    growing = [member for cohort in sorted(cohorts) for member in cohorts[cohort]]
    return generation, _selected(ask, [*survivors, *growing], size, generation)


def _survivors(
    ask: Ask, generation: int, before: tuple[Member, ...], results: tuple[Member, ...], size: int
) -> tuple[Member, ...]:
    """Computed once while the ledger says the same."""
    kept = ask.known.derived.get(generation)
    if kept is not None and isinstance(kept[1], _Past) and kept[1].results == results and kept[1].before == before:
        return kept[1].survivors
    survivors = tuple(_selected(ask, [*before, *results], size, generation))
    stamp = Point(results[0].number, (), None, infeasible=False)
    ask.known.derived[generation] = (stamp, _Past(before, results, survivors))
    return survivors


def _selected(ask: Ask, pool: Sequence[Member], size: int, generation: int) -> list[Member]:
    if ask.problem.choice.name is not AlgorithmName.NSGA_III or len(pool) <= size:
        return ranked(pool)[:size]
    fronts = constrained_fronts([m.losses for m in pool], [m.violation for m in pool])
    feasible = [front for front in fronts if pool[front[0]].violation <= 0]
    rng = random.Random(ask.study_seed(f"niches {generation}"))
    kept = niches.chosen([m.losses for m in pool], feasible, size, most=size, rng=rng) if feasible else []
    for front in fronts[len(feasible) :]:
        kept += front[: size - len(kept)]
    return [pool[index] for index in kept]


def _bred(
    ask: Ask, parents: Sequence[Member], settings: NSGASettings, rng: random.Random
) -> tuple[dict[str, JSONScalar], int]:
    one, other = _parent(ask, parents, rng), _parent(ask, parents, rng)
    two = rng.random() < settings.crossover
    return child(ask.space, one, other if two else None, mutation=settings.mutation, rng=rng), one.number


def _parent(ask: Ask, parents: Sequence[Member], rng: random.Random) -> Member:
    """The better of two: by the crowded comparison; in NSGA-III, where niches keep the spread, by constraints alone."""
    a, b = rng.randrange(len(parents)), rng.randrange(len(parents))
    if ask.problem.choice.name is AlgorithmName.NSGA_III:
        return min(parents[a], parents[b], key=lambda member: member.violation)
    return parents[min(a, b)]
