"""L-BFGS for a few dozen smooth parameters (Nocedal and Wright, 2006, chapter 7): all of scipy that a fit needs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MEMORY = 10
_ENOUGH = 1e-4
"""Share of the promised decrease that a step must bring (Armijo)."""


def minimise(
    objective: Callable[[Array], tuple[float, Array]],
    start: Array,
    *,
    bound: float,
    steps: int = 60,
    tolerance: float = 1e-4,
) -> tuple[Array, float]:
    """The lowest point found and its value, within `bound` of 0 in every coordinate. Takes an infinite value for a
    point where the objective is not defined; if it is infinite at the start, the start is the answer.
    """
    x = np.clip(start, -bound, bound)
    value, gradient = objective(x)
    memory: list[tuple[Array, Array, float]] = []
    for _ in range(steps):
        # Coordinates that stand at the bound and want beyond it stay.
        held = ((x <= -bound) & (gradient > 0)) | ((x >= bound) & (gradient < 0))
        free = np.where(held, 0.0, gradient)
        if not np.isfinite(value) or np.abs(free).max(initial=0.0) < tolerance:
            break
        direction = np.where(held, 0.0, -_times_inverse_hessian(free, memory))
        slope = float(direction @ free)
        if slope >= 0:
            memory, direction, slope = [], -free, -float(free @ free)
        length = 1.0 if memory else min(1.0, 1.0 / float(np.abs(direction).sum()))
        for _ in range(20):
            moved = np.clip(x + length * direction, -bound, bound)
            new, slopes = objective(moved)
            if new <= value + _ENOUGH * length * slope:
                break
            length *= 0.5
        else:
            break
        step, change = moved - x, slopes - gradient
        curvature = float(step @ change)
        if curvature > 1e-10:
            memory = [*memory, (step, change, 1 / curvature)][-_MEMORY:]
        small = value - new < 1e-7 * max(1.0, abs(value))
        x, value, gradient = moved, new, slopes
        if small:
            break
    return x, value


def _times_inverse_hessian(gradient: Array, memory: list[tuple[Array, Array, float]]) -> Array:
    """The two-loop recursion."""
    q = gradient.copy()
    shares = []
    for step, change, inverse in reversed(memory):
        share = inverse * float(step @ q)
        shares.append(share)
        q -= share * change
    if memory:
        step, change, inverse = memory[-1]
        q *= 1 / (inverse * float(change @ change))
    for (step, change, inverse), share in zip(memory, reversed(shares), strict=True):
        q += step * (share - inverse * float(change @ q))
    return q
