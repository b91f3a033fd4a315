"""The logarithm of the expected improvement (Ament et al., 2023): exact where the improvement itself rounds to zero."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TERMS = 48


def log_expected_improvement(mean: Array, variance: Array, best: float) -> Array:
    """Of how far below `best` a normal value with this mean and variance is expected to come."""
    deviation = np.sqrt(variance)
    return log_h((best - mean) / deviation) + np.log(deviation)


def log_h(z: Array) -> Array:
    """log(density(z) + z distribution(z)) of the standard normal distribution, for any z."""
    out = np.empty_like(z)
    high = z > -1
    zs = z[high]
    below = 0.5 * np.exp(-zs * zs / 2) * scaled_erfc(np.abs(zs) / math.sqrt(2))
    share = np.where(zs > 0, 1 - below, below)
    out[high] = np.log(np.exp(-zs * zs / 2) / math.sqrt(2 * math.pi) + zs * share)
    far = z < -100
    middle = ~high & ~far
    zs = -z[middle]
    rest = np.log1p(-zs * math.sqrt(math.pi / 2) * scaled_erfc(zs / math.sqrt(2)))
    out[middle] = -zs * zs / 2 - 0.5 * math.log(2 * math.pi) + rest
    zs = -z[far]
    out[far] = -zs * zs / 2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(zs) + np.log1p(-3 / zs**2)
    return out


def log_distribution(z: Array) -> Array:
    """log of the standard normal distribution function, for any z."""
    below = scaled_erfc(np.abs(z) / math.sqrt(2)) / 2
    tail = np.log(below) - z * z / 2
    return np.where(z < 0, tail, np.log1p(-np.exp(np.minimum(tail, -math.log(2)))))


def scaled_erfc(x: Array) -> Array:
    """exp(x^2) erfc(x) for x >= 0, by the series of Weideman (1994) for the Faddeeva function."""
    ratio = (_LENGTH - x) / (_LENGTH + x)
    return 2 * np.polyval(_SERIES, ratio) / (_LENGTH + x) ** 2 + 1 / (math.sqrt(math.pi) * (_LENGTH + x))


def _series() -> Array:
    half = 2 * _TERMS
    t = _LENGTH * np.tan(np.arange(1 - half, half) * math.pi / half / 2)
    values = np.concatenate([[0.0], np.exp(-t * t) * (_LENGTH**2 + t * t)])
    terms = np.real(np.fft.fft(np.fft.fftshift(values))) / (2 * half)
    return terms[1 : _TERMS + 1][::-1].copy()


_LENGTH = math.sqrt(_TERMS / math.sqrt(2))
_SERIES = _series()
