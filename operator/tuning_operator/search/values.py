"""Values of objectives: which of the reported ones counts, which is better, and which trials are best.

NaN is never best and missing is not zero: a trial without a finite value for every objective takes no part. Ties go
to the lower number.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuning_operator.api.study import Goal, Objective, Summarize


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial with its values, in the order of the study's objectives."""

    number: int
    values: Sequence[float | None]
    feasible: bool = True


def summarize(objective: Objective, reported: Sequence[float]) -> float | None:
    """The value that counts of those reported, in order; None if there is none, NaN if the ones that count are
    broken.
    """
    if not reported:
        return None
    if objective.summarize is Summarize.BEST:
        finite = [value for value in reported if math.isfinite(value)]
        if not finite:
            return math.nan
        return max(finite) if objective.goal is Goal.MAXIMIZE else min(finite)
    if objective.summarize is Summarize.MEAN:
        last = reported[-(objective.window or len(reported)) :]
        return math.fsum(last) / len(last) if all(map(math.isfinite, last)) else math.nan
    return reported[-1]


def better(goal: Goal, value: float, than: float) -> bool:
    """Whether a value is really better; nothing is better than itself, and NaN than nothing."""
    if math.isnan(value):
        return False
    return math.isnan(than) or (value > than if goal is Goal.MAXIMIZE else value < than)


def reached(objective: Objective, value: float | None) -> bool:
    """Whether the value meets the objective's target."""
    if objective.target is None or value is None or math.isnan(value):
        return False
    return value >= objective.target if objective.goal is Goal.MAXIMIZE else value <= objective.target


def best(objectives: Sequence[Objective], candidates: Iterable[Candidate]) -> int | None:
    """Number of the best trial by the first objective (among equals by the next ones, then the lower number); None if
    no trial has values.
    """
    ranked = min(_comparable(objectives, candidates), default=None)
    return None if ranked is None else ranked[1]


def front(objectives: Sequence[Objective], candidates: Iterable[Candidate], *, limit: int) -> tuple[int, ...]:
    """Numbers of the first `limit` trials that no other one beats in every objective, best by the first objective
    first.

    In this order a trial can only be dominated by one before it, so that the front is found in one pass over it. Of
    trials with the same values the lower number stands for all.
    """
    found: list[tuple[tuple[float, ...], int]] = []
    for losses, number in sorted(_comparable(objectives, candidates)):
        if not any(all(a <= b for a, b in zip(other, losses, strict=True)) for other, _ in found):
            found.append((losses, number))
            if len(found) == limit:
                break
    return tuple(number for _, number in found)


def _comparable(
    objectives: Sequence[Objective], candidates: Iterable[Candidate]
) -> Iterable[tuple[tuple[float, ...], int]]:
    """Values as losses (smaller is better) with the number, of feasible trials with all values finite."""
    for candidate in candidates:
        values = [value for value in candidate.values if value is not None and math.isfinite(value)]
        if candidate.feasible and len(values) == len(objectives) == len(candidate.values):
            losses = (-v if o.goal is Goal.MAXIMIZE else v for o, v in zip(objectives, values, strict=True))
            yield tuple(losses), candidate.number
