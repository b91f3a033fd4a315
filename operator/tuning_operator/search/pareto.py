"""Comparing trials by several objectives: domination, crowding, the volume a front covers, and its knee.

Everything here speaks of losses (smaller is better, all finite) and answers with positions in the list it was given.
It is plain arithmetic without numpy: whoever names a study's best must not have to load it.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from itertools import groupby

Losses = Sequence[float]
"""One number for each objective, smaller is better."""


def dominates(one: Losses, other: Losses) -> bool:
    """No worse in any objective, and better in one; equal ones do not dominate each other."""
    better = False
    for a, b in zip(one, other, strict=True):
        if a > b:
            return False
        better = better or a < b
    return better


def fronts(losses: Sequence[Losses]) -> list[list[int]]:
    """Non-dominated sorting (Deb et al., 2002): each front holds what only members of earlier fronts dominate.

    Points are placed in lexicographic order, so that only those placed before can dominate one, each by a binary
    search over the fronts (Zhang et al., 2015).
    """
    order = sorted(range(len(losses)), key=lambda index: (tuple(losses[index]), index))
    place = _by_bits if order and len(losses[order[0]]) > 2 else _by_lasts
    found: list[list[int]] = []
    for index, front in zip(order, place([losses[index] for index in order]), strict=True):
        if front == len(found):
            found.append([])
        found[front].append(index)
    return [sorted(front) for front in found]


def _by_lasts(ordered: Sequence[Losses]) -> list[int]:
    """The front of each with at most two objectives, where the last member of a front speaks for all."""
    lasts: list[tuple[float, ...]] = []
    found: list[int] = []
    for losses in ordered:
        last = tuple(reversed(losses))
        front = bisect_left(lasts, last)
        lasts[front : front + 1] = [last]
        found.append(front)
    return found


def _by_bits(ordered: Sequence[Losses]) -> list[int]:
    """The front of each with any number of objectives. Who is no worse in one objective is a set, and a set is a whole
    number with a bit for each point: so who dominates whom costs one `&` for each point and objective, whose 10,000
    bits are nothing to a processor. Equal points have one bit.
    """
    points = list(dict.fromkeys(map(tuple, ordered)))
    no_worse = [(1 << place) - 1 for place in range(len(points))]
    for objective in range(1, len(points[0])):
        column = [point[objective] for point in points]
        here = 0
        for _, level in groupby(sorted(range(len(points)), key=column.__getitem__), key=column.__getitem__):
            places = list(level)
            for place in places:
                here |= 1 << place
            for place in places:
                no_worse[place] &= here
    members: list[int] = []
    found: dict[tuple[float, ...], int] = {}
    for place, point in enumerate(points):
        low, high = 0, len(members)
        while low < high:
            middle = (low + high) // 2
            if no_worse[place] & members[middle]:
                low = middle + 1
            else:
                high = middle
        members[low : low + 1] = [(members[low] if low < len(members) else 0) | 1 << place]
        found[point] = low
    return [found[tuple(losses)] for losses in ordered]


def constrained_fronts(losses: Sequence[Losses], violations: Sequence[float]) -> list[list[int]]:
    """Deb's rule for constraints: feasible ones (violation 0) by domination, then the others by how much they violate.

    Losses of those that violate are not looked at, and may be anything.
    """
    feasible = [index for index, violation in enumerate(violations) if violation <= 0]
    found = [[feasible[place] for place in front] for front in fronts([losses[index] for index in feasible])]
    others: dict[float, list[int]] = {}
    for index, violation in enumerate(violations):
        if violation > 0:
            others.setdefault(violation, []).append(index)
    return found + [others[violation] for violation in sorted(others)]


def crowding(losses: Sequence[Losses]) -> list[float]:
    """Crowding distance of each member of one front (Deb et al., 2002): half the perimeter of the box between its
    neighbours, each objective in units of the front's range; infinite at the ends.
    """
    distance = [0.0] * len(losses)
    for column in zip(*losses, strict=True):
        order = sorted(range(len(losses)), key=column.__getitem__)
        low, high = column[order[0]], column[order[-1]]
        distance[order[0]] = distance[order[-1]] = math.inf
        if high > low:
            for before, index, after in zip(order, order[1:], order[2:], strict=False):
                distance[index] += (column[after] - column[before]) / (high - low)
    return distance


def knee(front: Sequence[Losses], weights: Sequence[float] | None = None) -> int:
    """The member to name when one must be named: the nearest to the ideal point, which has the best of each objective.

    Each objective is scaled to its range on the front, and multiplied by its weight where there are weights; the
    distance is Euclidean. Equal weights are the same as none. Of equally near ones the first is taken.
    """
    weights = weights or [1.0] * len(front[0])
    low = [min(column) for column in zip(*front, strict=True)]
    width = [max(column) - least for column, least in zip(zip(*front, strict=True), low, strict=True)]

    def distance(losses: Losses) -> float:
        shares = ((a - b) / w if w > 0 else 0.0 for a, b, w in zip(losses, low, width, strict=True))
        return math.hypot(*(share * weight for share, weight in zip(shares, weights, strict=True)))

    return min(range(len(front)), key=lambda index: (distance(front[index]), index))


def reference(losses: Sequence[Losses]) -> tuple[float, ...]:
    """Where to measure hypervolume from when nobody says: the worst of each objective and a tenth of its range."""
    columns = list(zip(*losses, strict=True))
    return tuple(max(column) + 0.1 * ((max(column) - min(column)) or abs(max(column)) or 1.0) for column in columns)


def hypervolume(losses: Sequence[Losses], reference: Losses) -> float:
    """Volume that the points dominate up to the reference point, exactly; those beyond it add nothing.

    In two and three dimensions by sweeping, in more by the algorithm of the Walking Fish Group (While et al., 2012):
    hundreds of points with up to five objectives are meant, not thousands.
    """
    inside = {tuple(map(float, each)) for each in losses if all(a < b for a, b in zip(each, reference, strict=True))}
    points = list(inside)
    if not points:
        return 0.0
    volume: Callable[[list[tuple[float, ...]], Losses], float]
    match len(reference):
        case 1:
            return float(reference[0]) - min(points)[0]
        case 2:
            volume = _area
        case 3:
            volume = _sweep
        case _:
            volume = _wfg
    return volume([points[index] for index in fronts(points)[0]], reference)


def _area(points: list[tuple[float, ...]], reference: Losses) -> float:
    area, top = 0.0, float(reference[1])
    for x, y in sorted(points):
        if y < top:
            area += (reference[0] - x) * (top - y)
            top = y
    return area


def _sweep(points: list[tuple[float, ...]], reference: Losses) -> float:
    """Along the third axis, with the staircase of the first two kept in order and its area kept up to date."""
    volume, area = 0.0, 0.0
    stairs: list[tuple[float, float]] = []
    before = 0.0
    for x, y, z in sorted(points, key=lambda point: point[2]):
        volume += area * (z - before)
        before = z
        area += _add_stair(stairs, x, y, reference)
    return volume + area * (reference[2] - before)


def _add_stair(stairs: list[tuple[float, float]], x: float, y: float, reference: Losses) -> float:
    """Put a corner into a staircase (x rising, y falling); the area that it gains."""
    place = bisect_left(stairs, (x, -math.inf))
    above = stairs[place - 1][1] if place else float(reference[1])
    if above <= y or (place < len(stairs) and stairs[place][0] == x and stairs[place][1] <= y):
        return 0.0
    gained, left, top = 0.0, x, above
    while place < len(stairs) and stairs[place][1] >= y:
        corner = stairs.pop(place)
        gained += (corner[0] - left) * (top - y)
        left, top = corner
    right = stairs[place][0] if place < len(stairs) else float(reference[0])
    gained += (right - left) * (top - y)
    insort(stairs, (x, y))
    return gained


def _wfg(points: list[tuple[float, ...]], reference: Losses) -> float:
    if len(reference) == 3:
        return _sweep(points, reference)
    last = len(reference) - 1
    ordered = sorted(points, key=lambda point: point[last], reverse=True)
    # Worst in the last objective first: below each point the last coordinate is its own, so a slice does with one less.
    volume = 0.0
    for place, point in enumerate(ordered):
        limited = {tuple(map(max, point[:last], other[:last])) for other in ordered[place + 1 :]}
        rest = list(limited)
        rest = [rest[index] for index in fronts(rest)[0]] if rest else []
        own = math.prod(r - p for r, p in zip(reference[:last], point[:last], strict=True))
        volume += (reference[last] - point[last]) * (own - (_wfg(rest, reference[:last]) if rest else 0.0))
    return volume
