"""Values of an objective as a Gaussian process can take them, and back. Lower is better on both sides.

Values worse than the median say only that they are worse: however far off they lie (a loss of 1e6 where training
diverged), they take the places that a normal distribution would give them. Better ones keep their distances.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """A monotone map, known at the values it was made from."""

    values: Array
    """Ascending, each once."""
    warped: Array

    @classmethod
    def of(cls, values: Array) -> "Outputs":
        levels, counts = np.unique(values, return_counts=True)
        median = float(np.median(values))
        good = levels[levels <= median]
        below = np.repeat(good, counts[: len(good)]) - median
        # The spread that a normal distribution would have, were its better half this one.
        spread = float(np.sqrt(np.mean(below**2))) if len(below) else 0.0
        if spread <= 0 or not np.isfinite(spread):
            spread = 1.0
        warped = (levels - median) / spread
        worse = levels > median
        ranks = (np.cumsum(counts) - (counts - 1) / 2 - 0.5) / counts.sum()
        normal = NormalDist()
        warped[worse] = [normal.inv_cdf(float(rank)) for rank in ranks[worse]]
        warped = np.maximum.accumulate(warped)
        mean = float(np.average(warped, weights=counts))
        deviation = float(np.sqrt(np.average((warped - mean) ** 2, weights=counts))) or 1.0
        return cls(levels, (warped - mean) / deviation)

    def __call__(self, values: Array) -> Array:
        return np.interp(values, self.values, self.warped)

    def back(self, warped: Array) -> Array:
        """What these would be as values; beyond the best known value by the slope of the better half."""
        values = np.interp(warped, self.warped, self.values)
        middle = max(1, len(self.values) // 2)
        if len(self.values) > 1:
            slope = (self.values[middle] - self.values[0]) / max(self.warped[middle] - self.warped[0], 1e-12)
            values = np.where(warped < self.warped[0], self.values[0] + slope * (warped - self.warped[0]), values)
        return values
