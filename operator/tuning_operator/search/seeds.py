"""Randomness that is a function of the study, and of nothing else.

Not of the process, its hash seed, or what was drawn before.
"""

import hashlib
import math
import random

from tuning_operator.search.dimension import Dimension, Key, RealDimension


def seed_of(seed: int, study_uid: str, number: int, purpose: str = "") -> int:
    """32 bits for one trial of one study, independent of those of any other trial, study, seed and purpose."""
    text = f"{seed}/{study_uid}/{number}/{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def draw(dimension: Dimension, rng: random.Random) -> Key:
    """A value of the dimension, evenly on its scale. Ends of whole ranges on a log scale get their full width."""
    if isinstance(dimension, RealDimension):
        return dimension.value(_between(dimension.low, dimension.high, rng.random(), log=dimension.log))
    if not dimension.log:
        return rng.randrange(dimension.count)
    first, last = dimension.value(0), dimension.value(dimension.count - 1)
    drawn = _between(float(first) - 0.5, float(last) + 0.5, rng.random(), log=True)
    return min(max(round(drawn) - int(first), 0), dimension.count - 1)


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    if log:
        return math.exp(_between(math.log(low), math.log(high), share, log=False))
    return low * (1 - share) + high * share
