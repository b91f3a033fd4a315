"""Survival in NSGA-III (Deb and Jain, 2014): spread along reference directions instead of by crowding."""

import math
import random
from collections.abc import Sequence
from functools import lru_cache

from tuning_operator.search.pareto import Losses

_EPSILON = 1e-6


@lru_cache(maxsize=64)
def directions(objectives: int, most: int) -> tuple[tuple[float, ...], ...]:
    """Das and Dennis's points on the unit simplex, as finely divided as `most` of them allow; at least its corners."""
    divisions = 1
    while objectives > 1 and math.comb(divisions + objectives, objectives - 1) <= most:
        divisions += 1
    return tuple(tuple(part / divisions for part in parts) for parts in _compositions(divisions, objectives))


def _compositions(total: int, parts: int) -> list[tuple[int, ...]]:
    if parts == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in _compositions(total - first, parts - 1)]


def normalised(losses: Sequence[Losses]) -> list[tuple[float, ...]]:
    """From the ideal point, in units of the intercepts of the plane through the extreme points; where there is no such
    plane, of the worst of each objective.
    """
    count = len(losses[0])
    ideal = [min(column) for column in zip(*losses, strict=True)]
    moved = [[a - b for a, b in zip(each, ideal, strict=True)] for each in losses]
    extremes = [
        min(moved, key=lambda each: max(value / (1.0 if i == axis else _EPSILON) for i, value in enumerate(each)))
        for axis in range(count)
    ]
    plane = _solved(extremes)
    worst = [max(column) for column in zip(*moved, strict=True)]
    intercepts = worst
    if plane is not None and all(part > _EPSILON for part in plane):
        inverse = [1.0 / part for part in plane]
        if all(_EPSILON < each <= most * (1 + _EPSILON) for each, most in zip(inverse, worst, strict=True)):
            intercepts = inverse
    return [tuple(a / b if b > 0 else 0.0 for a, b in zip(each, intercepts, strict=True)) for each in moved]


def chosen(
    losses: Sequence[Losses], fronts: Sequence[Sequence[int]], count: int, *, most: int, rng: random.Random
) -> list[int]:
    """`count` of the members of these fronts: whole ones first, of the last those that fill the emptiest niches."""
    kept: list[int] = []
    for front in fronts:
        if len(kept) + len(front) > count:
            break
        kept += front
    if len(kept) == count or len(kept) == sum(map(len, fronts)):
        return kept
    last = list(next(front for front in fronts if front and front[0] not in set(kept)))
    considered = kept + last
    rays = directions(len(losses[0]), most)
    nearest = dict(
        zip(considered, (_nearest(p, rays) for p in normalised([losses[i] for i in considered])), strict=True)
    )
    crowd = [0] * len(rays)
    for index in kept:
        crowd[nearest[index][0]] += 1
    waiting: dict[int, list[int]] = {}
    for index in last:
        waiting.setdefault(nearest[index][0], []).append(index)
    while len(kept) < count:
        least = min(crowd[ray] for ray in waiting)
        ray = rng.choice(sorted(ray for ray in waiting if crowd[ray] == least))
        there = waiting[ray]
        index = min(there, key=lambda i: (nearest[i][1], i)) if crowd[ray] == 0 else rng.choice(there)
        there.remove(index)
        if not there:
            del waiting[ray]
        crowd[ray] += 1
        kept.append(index)
    return kept


def _nearest(point: Losses, rays: Sequence[Losses]) -> tuple[int, float]:
    """The ray that passes nearest, and how near (squared)."""
    best, least = 0, math.inf
    square = sum(x * x for x in point)
    for index, ray in enumerate(rays):
        along = sum(x * r for x, r in zip(point, ray, strict=True))
        distance = square - along * along / sum(r * r for r in ray)
        if distance < least - 1e-15:
            best, least = index, distance
    return best, least


def _solved(rows: Sequence[Sequence[float]]) -> list[float] | None:
    """x with rows x = 1, by elimination; None if there is not exactly one."""
    matrix = [[*row, 1.0] for row in rows]
    size = len(matrix)
    scale = max((abs(value) for row in rows for value in row), default=0.0)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) <= 1e-12 * scale:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                ratio = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - ratio * b for a, b in zip(matrix[row], matrix[column], strict=True)]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]
