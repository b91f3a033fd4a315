"""Sobol's sequence, scrambled: the point of any index, without those before it.

Direction numbers are those of Joe and Kuo (2008, `new-joe-kuo-6`). Scrambling is Owen's nested one, computed by a hash
(Laine and Karras, 2011; Burley, 2020), so that a point needs neither state nor tables of random bits, and each run of
2^k points that starts at a multiple of 2^k has one in each of 2^k equal pieces of every axis, as the sequence itself.
"""

from functools import cache

from tuning_operator.search.joe_kuo import TABLE

BITS = 32
_ALL = (1 << BITS) - 1
DIMENSIONS = len(TABLE) + 1


def coordinate(index: int, dimension: int, *, seed: int | None = None) -> float:
    """Coordinate of a point in [0, 1); without a seed unscrambled, as printed in the literature."""
    bits, gray, place = 0, index ^ (index >> 1), 0
    directions = _directions(dimension)
    while gray:
        if gray & 1:
            bits ^= directions[place]
        gray >>= 1
        place += 1
    if seed is not None:
        bits = _scrambled(bits, _hash(seed, dimension))
        return (bits + 0.5) / (1 << BITS)
    return bits / (1 << BITS)


@cache
def _directions(dimension: int) -> tuple[int, ...]:
    """The direction numbers of an axis as 32-bit fractions (Bratley and Fox, 1988)."""
    if dimension == 0:
        return tuple(1 << (BITS - 1 - place) for place in range(BITS))
    polynomial, first = TABLE[dimension - 1]
    degree = polynomial.bit_length() - 1
    found = list(first)
    while len(found) < BITS:
        last = found[-degree:]
        number = last[0] ^ (last[0] << degree)
        for back in range(1, degree):
            if polynomial >> (degree - back) & 1:
                number ^= last[-back] << back
        found.append(number)
    return tuple(number << (BITS - 1 - place) for place, number in enumerate(found))


def _scrambled(bits: int, seed: int) -> int:
    """Each bit is flipped or not by a hash of those before it."""
    return _reversed(_permuted(_reversed(bits), seed))


def _permuted(x: int, seed: int) -> int:
    """A permutation in which a bit depends on lower ones only."""
    x ^= x * 0x3D20ADEA & _ALL
    x = x + seed & _ALL
    x = x * (seed >> 16 | 1) & _ALL
    x ^= x * 0x05526C56 & _ALL
    x ^= x * 0x53A22864 & _ALL
    return x


def _hash(seed: int, dimension: int) -> int:
    """Seeds of different axes have nothing to do with each other (the finaliser of MurmurHash3)."""
    x = seed + (dimension + 1) * 0x9E3779B9 & _ALL
    for multiplier in (0x85EBCA6B, 0xC2B2AE35):
        x = (x ^ x >> 16) * multiplier & _ALL
    return x ^ x >> 16


def _reversed(bits: int) -> int:
    return int(f"{bits:032b}"[::-1], 2)
