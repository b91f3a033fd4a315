"""Halton's sequence with permuted digits: the point of any index, without those before it.

The i-th axis counts in the i-th prime. In large bases the plain sequence runs in stripes; here each place of each axis
has its digits permuted by a linear map of its own (Matousek, 1998), which leaves every stretch of base^k points evenly
spread.
"""

import random
from functools import lru_cache
from itertools import count, islice, takewhile

DIMENSIONS = 64


def coordinate(index: int, dimension: int, *, seed: int | None = None) -> float:
    """Coordinate of a point in [0, 1); without a seed the digits are not permuted."""
    base = _PRIMES[dimension]
    maps = None if seed is None else _maps(seed, dimension)
    value, weight, place = 0.0, 1.0 / base, 0
    while index or (maps is not None and place < len(maps)):
        index, digit = divmod(index, base)
        if maps is not None and place < len(maps):
            factor, shift = maps[place]
            digit = (digit * factor + shift) % base
        value += digit * weight
        weight /= base
        place += 1
    return min(value, 1.0 - 2.0**-53)


@lru_cache(maxsize=256)
def _maps(seed: int, dimension: int) -> tuple[tuple[int, int], ...]:
    """Factor and shift for each place that a float can hold."""
    base = _PRIMES[dimension]
    rng = random.Random(f"{seed}/{dimension}")
    places = next(places for places in count(1) if base**places >= 2**53)
    return tuple((rng.randrange(1, base), rng.randrange(base)) for _ in range(places))


def _primes() -> tuple[int, ...]:
    found: list[int] = []
    numbers = (n for n in count(2) if all(n % p for p in takewhile(lambda p, n=n: p * p <= n, found)))  # type: ignore[misc]
    for prime in islice(numbers, DIMENSIONS):
        found.append(prime)
    return tuple(found)


_PRIMES = _primes()
