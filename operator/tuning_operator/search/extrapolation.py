"""What trials that came to different budgets would have at the same one, so that a model can learn from all of them.

Values of different budgets cannot be compared, but many trials have values of two. From these follows which value at
the higher budget goes with which at the lower one: a rising line, as nobody is expected to fall behind those it was
ahead of. It is the isotonic regression (Barlow et al., 1972), joined from block to block; where nobody was promoted
from, it goes on with a slope of one. So a trial stands where those that were as good as it came to, and what is known
to be bad stays known when the best have moved on. Pure, and knows nothing of goals: it holds upwards and downwards.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby


def extrapolated(curves: Sequence[Mapping[int, float]]) -> list[float | None]:
    """Of each trial, given by its values by budget, the value at the highest budget that any of them has come to: its
    own or the expected one; None without any value.
    """
    found: list[float | None] = [None] * len(curves)
    ends: dict[int, list[int]] = {}  # trials by the budget that they came to
    for index, curve in enumerate(curves):
        if curve:
            ends.setdefault(max(curve), []).append(index)
    further: list[tuple[Mapping[int, float], float]] = []
    for budget in sorted(ends, reverse=True):
        line = Line([(curve[budget], at) for curve, at in further if budget in curve])
        for index in ends[budget]:
            found[index] = at = line(curves[index][budget])
            further.append((curves[index], at))
    return found


class Line:
    """The rising line through these points; without any, everything stays what it is."""

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        blocks: list[tuple[float, float, int]] = []  # sums of x and of y, and their number
        for _, same in groupby(sorted(points), key=lambda point: point[0]):
            xs, ys = zip(*same, strict=True)
            block = (sum(xs), sum(ys), len(xs))
            while blocks and blocks[-1][1] / blocks[-1][2] >= block[1] / block[2]:
                last = blocks.pop()
                block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
            blocks.append(block)
        self._x = [x / count for x, _, count in blocks]
        self._y = [y / count for _, y, count in blocks]

    def __call__(self, x: float) -> float:
        if not self._x:
            return x
        place = bisect_right(self._x, x)
        if place == 0:
            return self._y[0] + (x - self._x[0])
        if place == len(self._x):
            return self._y[-1] + (x - self._x[-1])
        (left, right), (low, high) = self._x[place - 1 : place + 1], self._y[place - 1 : place + 1]
        return low + (high - low) * (x - left) / (right - left)
