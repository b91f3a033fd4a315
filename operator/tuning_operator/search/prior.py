"""A normal distribution cut at both ends, with the mean between them: shares of its mass, there and back.

By the error function and not by the distribution function, whose differences are rounded away where the cut piece is
narrow beside the deviation.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
_SMALL = 1e-4
"""Below it the inverse error function is its own series to the last bit."""


@dataclass(frozen=True, slots=True)
class Normal:
    """Mean and standard deviation on the dimension's own scale (the logarithm's, where that is `Log`)."""

    mean: float
    deviation: float

    def share(self, x: float, low: float, high: float) -> float:
        """Mass between `low` and `x`, of that between `low` and `high`."""
        start, end = self._erf(low), self._erf(high)
        return min(max((self._erf(x) - start) / (end - start), 0.0), 1.0)

    def at(self, share: float, low: float, high: float) -> float:
        """The inverse of `share`."""
        start, end = self._erf(low), self._erf(high)
        x = self.mean + self.deviation * math.sqrt(2) * _inverse_erf(start + share * (end - start))
        return min(max(x, low), high)

    def _erf(self, x: float) -> float:
        return math.erf((x - self.mean) / self.deviation / math.sqrt(2))


def _inverse_erf(y: float) -> float:
    if abs(y) < _SMALL:
        return math.sqrt(math.pi) / 2 * y * (1 + math.pi / 12 * y * y)
    mass = (1 + y) / 2
    if not 0 < mass < 1:
        return math.copysign(math.inf, y)
    return _NORMAL.inv_cdf(mass) / math.sqrt(2)
