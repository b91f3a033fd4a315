"""Where an acquisition function is largest: evenly drawn points, points around the best ones, then hill climbing.

The space is mixed, so no gradient is followed: a step changes one axis, a choice to any of its values, a number by less
and less; or all numbers a little. Everything goes in batches, since one evaluation costs as much as a hundred.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tuning_operator.search.gp_encoding import Array, Encoding

_EVEN = 1000
_AROUND = 60
"""Points around each of the best known ones."""
_CLIMBERS = 6
_CLIMBS = 16
_WORTH = 0.003
"""Rise that a step must bring: without it, axes that matter to nothing would drift to the ends of their ranges."""
_INDIFFERENT = 0.02
"""Loss of height, in all, that nobody minds."""
_BREADTH = 0.7
"""The same that a point in a large batch may lose: half of the expected improvement."""
_FEW = 12
"""Values of an axis up to which a step may go to any of them."""
_MOST = 12
"""Axes that are changed in one climbing step, where there are more: others each time."""


def ranked(encoding: Encoding, score: Callable[[Array], Array], incumbents: Array, rng: np.random.Generator) -> Array:
    """Points, the best first."""
    rows = [encoding.snapped(rng.random((_EVEN, encoding.width)))]
    rows += [encoding.snapped(_around(encoding, row, rng)) for row in incumbents]
    tried = np.concatenate(rows)
    scores = score(tried)
    order = np.argsort(-scores, kind="stable")
    tops = _apart(tried[order], _CLIMBERS)
    climbers, heights = tried[order][tops], scores[order][tops]
    found, reached = [tried], [scores]
    size = 0.2
    for _ in range(_CLIMBS):
        near = encoding.snapped(np.concatenate([_steps(encoding, row, size, rng) for row in climbers]))
        each = len(near) // len(climbers)
        values = score(near)
        found.append(near)
        reached.append(values)
        blocks = values.reshape(len(climbers), each)
        best = blocks.argmax(axis=1)
        better = blocks[np.arange(len(climbers)), best] > heights + _WORTH
        for index in np.flatnonzero(better):
            climbers[index] = near[index * each + best[index]]
            heights[index] = blocks[index, best[index]]
        if not better.any():
            size /= 2.5
            if size < 1e-3:
                break
    rows_, scores_ = np.concatenate(found), np.concatenate(reached)
    return rows_[np.argsort(-scores_, kind="stable")]


def loosened(
    encoding: Encoding, score: Callable[[Array], Array], row: Array, rng: np.random.Generator, *, batch: float
) -> Array:
    """The same point, with axes that matter little drawn anew: else all of them would stand at an end of their range,
    where the least is known, and a batch of points would teach nothing of them. `batch` is the share of points that
    are under way, of all: the more, the less the model knows yet, and the more breadth is worth.
    """
    least = float(score(row[None, :])[0]) - _INDIFFERENT - batch * _BREADTH
    for index in rng.permutation(encoding.free):
        moved = row.copy()
        moved[index] = rng.random()
        moved = encoding.snapped(moved[None, :])
        if score(moved)[0] >= least:
            row = moved[0]
    return row


def _around(encoding: Encoding, row: Array, rng: np.random.Generator) -> Array:
    """Copies with some axes changed: numbers a little or anywhere, choices to others."""
    width = encoding.width
    shape = (_AROUND, width)
    rate = np.maximum(rng.choice([1.5, 3.0], (_AROUND, 1)) / max(len(encoding.free), 1), 0.1)
    moved = row + rng.normal(size=shape) * rng.choice([0.02, 0.1, 0.3], (_AROUND, 1))
    for index in range(width):
        if not encoding.space.axes[index].values.ordered:
            moved[:, index] = rng.random(_AROUND)
    return np.where(rng.random(shape) < rate, moved, row)


def _steps(encoding: Encoding, row: Array, size: float, rng: np.random.Generator) -> Array:
    """Equally many for every row."""
    near: list[Array] = []
    free = encoding.free
    chosen = free if len(free) <= _MOST else sorted(rng.permutation(free)[:_MOST])
    for index in chosen:
        places = encoding.places[index]
        if places is not None and len(places) <= _FEW:
            to = places
        elif places is not None and encoding.space.axes[index].values.ordered:
            cell = int(np.searchsorted((places[1:] + places[:-1]) / 2, row[index]))
            wide = max(1, round(size * len(places)))
            around = np.clip([cell - wide, cell - 1, cell + 1, cell + wide], 0, len(places) - 1)
            to = places[around]
        elif places is not None:
            to = places[rng.integers(len(places), size=_FEW)]
        else:
            to = row[index] + size * np.array([-1.0, -0.3, 0.3, 1.0])
        copies = np.repeat(row[None, :], len(to), axis=0)
        copies[:, index] = to
        near.append(copies)
    all_at_once = np.repeat(row[None, :], 12, axis=0)
    for index in free:
        if encoding.space.axes[index].values.ordered:
            all_at_once[:, index] += 0.5 * size * rng.normal(size=12)
    return np.concatenate([*near, all_at_once])


def _apart(rows: Array, count: int) -> NDArray[np.intp]:
    """Indices of the first different ones."""
    _, first = np.unique(rows, axis=0, return_index=True)
    return np.sort(first)[:count]
