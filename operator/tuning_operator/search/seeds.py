"""Randomness that is a function of the study, and of nothing else.

Not of the process, its hash seed, or what was drawn before.
"""

import hashlib
import random

from tuning_operator.search.dimension import Dimension, Key

MOST_DRAWS = 5_000
"""Random points, none of which is allowed, from which on the points that are allowed count as too few to be found."""


def seed_of(seed: int, study_uid: str, number: int, purpose: str = "") -> int:
    """32 bits for one trial of one study, independent of those of any other trial, study, seed and purpose."""
    text = f"{seed}/{study_uid}/{number}/{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def draw(dimension: Dimension, rng: random.Random) -> Key:
    """A value of the dimension, as its scale and its prior have it."""
    return dimension.from_unit(rng.random())
