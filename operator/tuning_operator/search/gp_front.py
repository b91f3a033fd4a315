"""Where to look next for several objectives: each has a Gaussian process, and each trial a direction to improve in.

The direction is drawn for the trial's number: weights of the objectives, with which a point is as good as its worst
weighted loss (the augmented Chebyshev norm of ParEGO, Knowles 2006), each loss in units of the front's extent. Taken
is the point with the largest expected improvement of that, as an average over draws of what the processes believe; the
processes are of the objectives themselves, which are smoother than any norm of them. So all of a front is reached, by
trials side by side as well. Constraints, and trials that do not work or still run, count as with one objective.
Loaded when the first model is needed.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tuning_operator.api.study import Goal
from tuning_operator.search.ask import Ask
from tuning_operator.search.gp_candidates import ranked
from tuning_operator.search.gp_encoding import Array, Encoding
from tuning_operator.search.gp_model import Found, fit_of, under_way, works_of
from tuning_operator.search.gp_regression import Posterior
from tuning_operator.search.known import Point
from tuning_operator.search.pareto import fronts
from tuning_operator.search.space import PointKey

_DRAWS = 256
_INCUMBENTS = 8
_SUM = 0.05
"""Weight of the sum beside the worst loss, so that of equally bad ones the one that is better elsewhere counts more."""
_WILD = 4.0
"""A loss counts at most so many times as far behind the median as the best lies before it."""
_NONE = 1e-300


def look(ask: Ask) -> Found | None:
    """A new point; None where there is none, or where nothing is known that could be improved on.

    Raises one of `gp_model.Unsolvable` where no model can be made.
    """
    encoding = Encoding(ask.space)
    rng = np.random.default_rng(ask.seed("gp"))
    points = [point for point in ask.known.points if point.useful]
    worked = [point for point in points if point.values is not None]
    feasible = np.flatnonzero([point.violation <= 0 for point in worked])
    if not len(feasible):
        return None
    losses = _losses(ask, worked)
    rows = encoding.rows([point.key for point in worked])
    models, believed = _models(encoding, rows, losses, under_way(ask), rng)
    front = losses[feasible[fronts([tuple(each) for each in losses[feasible]])[0]]]
    gain, norm = _gain(front, believed, rng)
    works = works_of(encoding, points, rng)

    def score(candidates: Array) -> Array:
        features = encoding.features(candidates)
        found = [model(features) for model in models]
        means = np.stack([mean for mean, _ in found], axis=1)
        deviations = np.sqrt(np.stack([variance for _, variance in found], axis=1))
        total: Array = np.log(gain(means, deviations) + _NONE)
        if works is not None:
            total = total + works.log_chance(features)
        return total

    best = feasible[np.argsort(norm(losses[feasible]), kind="stable")[:_INCUMBENTS]]
    for row in ranked(encoding, score, rows[best], rng):
        key = encoding.key(row)
        if ask.new_key(key):
            return Found(ask.space.point(key), None)
    return None


def _losses(ask: Ask, worked: Sequence[Point]) -> Array:
    """Of variance 1, lower is better; which dominates which stays as it is, but for the wildest."""
    signs = np.array([-1.0 if goal is Goal.MAXIMIZE else 1.0 for goal in ask.problem.goals])
    losses = signs * np.array([point.values for point in worked if point.values is not None])
    largest = np.abs(losses).max(axis=0)
    losses = losses / np.where(largest > 0, largest, 1.0)
    middle = np.median(losses, axis=0)
    losses = np.minimum(losses, middle + _WILD * np.maximum(middle - losses.min(axis=0), 1e-12))
    spread = losses.std(axis=0)
    scaled: Array = (losses - losses.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _models(
    encoding: Encoding, rows: Array, losses: Array, waiting: Sequence[PointKey], rng: np.random.Generator
) -> tuple[list[Posterior], Array]:
    """What is believed of each objective, and its losses where trials are under way."""
    features, groups = encoding.features(rows), encoding.groups
    there = encoding.features(encoding.rows(waiting)) if waiting else features[:0]
    models: list[Posterior] = []
    believed = np.zeros((len(waiting), losses.shape[1]))
    for objective, y in enumerate(losses.T):
        fit = fit_of(features, groups, y, rng)
        model = Posterior(features, groups, y, fit)
        if waiting:
            values, _ = model(there)
            believed[:, objective] = values
            model = Posterior(np.concatenate([features, there]), groups, np.concatenate([y, values]), fit)
        models.append(model)
    return models, believed


def _gain(
    front: Array, believed: Array, rng: np.random.Generator
) -> tuple[Callable[[Array, Array], Array], Callable[[Array], Array]]:
    """Expected improvement in this trial's direction by normal losses with these means and deviations; and the norm."""
    count = front.shape[1]
    ideal, extent = front.min(axis=0), np.maximum(front.max(axis=0) - front.min(axis=0), 0.1)
    weights = rng.dirichlet(np.ones(count))
    draws = rng.normal(size=(count, _DRAWS))

    def norm(losses: Array) -> Array:
        """Along the second axis."""
        shape = (1, count) + (1,) * (losses.ndim - 2)
        shares = (losses - ideal.reshape(shape)) * (weights / extent).reshape(shape)
        total: Array = shares.max(axis=1) + _SUM * shares.sum(axis=1)
        return total

    known: NDArray[np.float64] = norm(np.concatenate([front, believed]))
    best = float(known.min())

    def gain(means: Array, deviations: Array) -> Array:
        losses = means[:, :, None] + deviations[:, :, None] * draws
        mean: Array = np.maximum(best - norm(losses), 0.0).mean(axis=1)
        return mean

    return gain, norm
