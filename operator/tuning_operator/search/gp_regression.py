"""Gaussian process regression: Matern 5/2 with a length scale for each group of features, fitted to its posterior mode.

Plain numpy, in double precision. The parameters are logarithms: for each group the inverse squared length scale, then
the variance of the function and that of the noise. Priors keep a fit of few points sensible: length scales grow with
the square root of the number of groups (Hvarfner et al., 2024), so that a space of many parameters is not taken for one
in which every point stands alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning_operator.search.lbfgs import minimise

Array = NDArray[np.float64]

JITTER = 1e-8
SCALE_PRIOR = (0.0, 1.0)
"""Of the logarithm of the function's variance: mean and standard deviation, for values of variance 1."""
NOISE_PRIOR = (-5.0, 1.5)
LENGTH_DEVIATION = math.sqrt(3)
LENGTH_MEAN = math.sqrt(2)
_BOUND = 12.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Parameters of the kernel."""

    weights: Array
    """Inverse squared length scale of each group."""
    scale: float
    noise: float


class Posterior:
    """What is believed about the function after the values `y` at the points with these features."""

    def __init__(self, features: Array, groups: NDArray[np.intp], y: Array, fit: Fit) -> None:
        self._width = np.sqrt(fit.weights[groups])
        self._at = features * self._width
        self._fit = fit
        kernel = _matern(_squared(self._at, self._at), fit.scale)
        kernel[np.diag_indices(len(y))] += fit.noise + JITTER
        self._whiten = np.linalg.inv(np.linalg.cholesky(kernel))
        self._whitened = self._whiten @ y

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Mean and variance of the function (without noise) at these points."""
        cross = self._whiten @ _matern(_squared(self._at, features * self._width), self._fit.scale)
        mean = cross.T @ self._whitened
        variance = self._fit.scale - np.einsum("ij,ij->j", cross, cross)
        return mean, np.maximum(variance, 1e-12 * self._fit.scale)


def fitted(features: Array, groups: NDArray[np.intp], y: Array) -> Fit:
    """The mode of the parameters' posterior. Raises `numpy.linalg.LinAlgError` where there is none to be found."""
    count = int(groups[-1]) + 1 if len(groups) else 0
    objective = loss(features, groups, y)
    middle = _length_prior(count)
    starts = [
        np.array([*np.full(count, -2 * middle + shift), 0.0, noise]) for shift, noise in ((0.0, -5.0), (3.0, -2.0))
    ]
    found = min((minimise(objective, start, bound=_BOUND) for start in starts), key=lambda each: each[1])
    if not math.isfinite(found[1]):
        raise np.linalg.LinAlgError("no parameters of the kernel explain the values")
    return Fit(np.exp(found[0][:-2]), math.exp(found[0][-2]), math.exp(found[0][-1]))


def loss(features: Array, groups: NDArray[np.intp], y: Array) -> Callable[[Array], tuple[float, Array]]:
    """Negative logarithm of the parameters' posterior density, with its gradient; infinite where it is undefined."""
    n = len(y)
    count = int(groups[-1]) + 1 if len(groups) else 0
    distances = (
        np.stack(
            [_squared(features[:, groups == g], features[:, groups == g]).ravel() for g in range(count)]
            or [np.zeros(n * n)][:0]
        )
        if count
        else np.zeros((0, n * n))
    )
    prior = _prior(count)

    def value(theta: Array) -> tuple[float, Array]:
        weights, scale, noise = np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
        r = np.sqrt(5 * (weights @ distances)).reshape(n, n)
        decay = scale * np.exp(-r)
        kernel = (1 + r + r * r / 3) * decay
        noisy = kernel.copy()
        noisy[np.diag_indices(n)] += noise + JITTER
        try:
            whiten = np.linalg.inv(np.linalg.cholesky(noisy))
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(theta)
        whitened = whiten @ y
        alpha = whiten.T @ whitened
        inverse = whiten.T @ whiten - np.outer(alpha, alpha)
        slopes = -5 / 6 * (1 + r) * decay * inverse
        gradient = np.empty_like(theta)
        gradient[:-2] = 0.5 * weights * (distances @ slopes.ravel())
        gradient[-2] = 0.5 * np.vdot(inverse, kernel)
        gradient[-1] = 0.5 * noise * np.trace(inverse)
        likelihood = 0.5 * float(whitened @ whitened) - float(np.log(np.diag(whiten)).sum())
        likelihood += 0.5 * n * math.log(2 * math.pi)
        mean, deviation = prior
        away = (theta - mean) / deviation
        return likelihood + 0.5 * float(away @ away), gradient + away / deviation

    return value


def _prior(count: int) -> tuple[Array, Array]:
    """Mean and standard deviation of each parameter: all log-normal."""
    mean = np.array([*np.full(count, -2 * _length_prior(count)), SCALE_PRIOR[0], NOISE_PRIOR[0]])
    deviation = np.array([*np.full(count, 2 * LENGTH_DEVIATION), SCALE_PRIOR[1], NOISE_PRIOR[1]])
    return mean, deviation


def _length_prior(count: int) -> float:
    return LENGTH_MEAN + 0.5 * math.log(max(count, 1))


def _squared(a: Array, b: Array) -> Array:
    """Squared distances of all pairs of rows."""
    norms: Array = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None, :]
    return np.maximum(norms - 2 * (a @ b.T), 0.0)


def _matern(squared: Array, scale: float) -> Array:
    r = np.sqrt(5 * squared)
    return scale * (1 + r + r * r / 3) * np.exp(-r)
