"""A Gaussian process of one moment: what is known of a study, and where to look next.

Loaded when the first model is needed: numpy costs memory and start-up time. Nothing here depends on anything but what
is asked: the same history gives the same model, whatever was asked before.

Points without a value (trials that run; with several fidelities those that did not come as far) are believed to have
the value that the model expects there, so that the next one goes elsewhere. A point that did not work counts as a
mediocre one, and whether a point works at all is another model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import Goal
from tuning_operator.search.ask import Ask
from tuning_operator.search.expected_improvement import log_distribution, log_expected_improvement
from tuning_operator.search.gp_candidates import loosened, ranked
from tuning_operator.search.gp_encoding import Array, Encoding
from tuning_operator.search.gp_outputs import Outputs
from tuning_operator.search.gp_regression import Fit, Posterior, fitted
from tuning_operator.search.known import Point
from tuning_operator.search.space import PointKey

_FITTED = 200
"""Points that the kernel is fitted to: where there are more, the best half and a draw of the others."""
_INCUMBENTS = 5
_BELIEVED = 200
"""Points without a value that are taken into account: the latest ones."""

_BROKEN = 0.6
"""Of the values that worked, the quantile that stands for a point that did not. At the worst value the cliff is so high
that the kernel takes everything for rough; without any value the search goes over it again and again.
"""
_SURE = float(np.log(0.8))
_CAUTION = 20.0
"""A point that works with less than this chance is all but ruled out: the best ones often lie at a cliff (the largest
model that fits into memory), and gain times chance alone wastes half of all trials there.
"""

Unsolvable = (np.linalg.LinAlgError, FloatingPointError)
"""What is raised where no model can be made."""


@dataclass(frozen=True)
class Found:
    parameters: dict[str, JSONScalar]
    expected: float | None
    """Improvement of the objective over the best known value, in its unit; None where there is none yet."""


def look(ask: Ask) -> Found | None:
    """The most promising point that was not suggested before; None if every one was.

    Raises one of `Unsolvable` where no model can be made.
    """
    encoding = Encoding(ask.space)
    rng = np.random.default_rng(ask.seed("gp"))
    points = [point for point in ask.known.points if point.useful]
    objective = _objective(ask, encoding, points, rng)
    works = works_of(encoding, points, rng)

    def score(rows: Array) -> Array:
        features = encoding.features(rows)
        total = np.zeros(len(rows))
        if objective is not None:
            total += log_expected_improvement(*objective.posterior(features), objective.best)
        if works is not None:
            chance = works.log_chance(features)
            total += chance + _CAUTION * np.minimum(chance - _SURE, 0.0)
        return total

    incumbents = encoding.rows([point.key for point in _best_first(points, ask)[:_INCUMBENTS]])
    candidates = ranked(encoding, score, incumbents, rng)
    batch = len(ask.running) / (len(ask.running) + len(points))
    for row in (loosened(encoding, score, candidates[0], rng, batch=batch), *candidates):
        key = encoding.key(row)
        if ask.new_key(key):
            expected = None if objective is None else objective.expected(encoding.features(row[None, :]))
            return Found(ask.space.point(key), expected)
    return None


@dataclass(frozen=True)
class _Objective:
    posterior: Posterior
    outputs: Outputs
    best: float
    """To be improved on: of the points that keep the constraints, and of what is believed of those under way."""
    known: float
    """The same without those under way."""

    def expected(self, features: Array) -> float:
        """The improvement, integrated over what is believed there."""
        mean, variance = self.posterior(features)
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        values = self.outputs.back(mean[0] + np.sqrt(variance[0]) * nodes)
        gain = np.maximum(self.outputs.back(np.array([self.known]))[0] - values, 0.0)
        return float(weights @ gain / weights.sum())


def _objective(ask: Ask, encoding: Encoding, points: Sequence[Point], rng: np.random.Generator) -> _Objective | None:
    worked = [point for point in points if point.values is not None]
    kept = [index for index, point in enumerate(worked) if point.violation <= 0]
    if not kept:
        return None
    losses = _losses(ask, worked)
    outputs = Outputs.of(losses)
    y = outputs(losses)
    broken = [point.key for point in points if point.values is None]
    features = encoding.features(encoding.rows([*(point.key for point in worked), *broken]))
    y = np.concatenate([y, np.full(len(broken), np.quantile(y, _BROKEN))])
    fit = fit_of(features, encoding.groups, y, rng)
    posterior = Posterior(features, encoding.groups, y, fit)
    best = known = float(y[kept].min())
    believed = under_way(ask)
    if believed:
        there = encoding.features(encoding.rows(believed))
        values, _ = posterior(there)
        posterior = Posterior(np.concatenate([features, there]), encoding.groups, np.concatenate([y, values]), fit)
        best = min(best, float(values.min()))
    return _Objective(posterior, outputs, best, known)


@dataclass(frozen=True)
class Works:
    """A regression on 1 (works) and -1 (does not, or breaks a constraint)."""

    posterior: Posterior

    def log_chance(self, features: Array) -> Array:
        mean, variance = self.posterior(features)
        return log_distribution(mean / np.sqrt(variance))


def works_of(encoding: Encoding, points: Sequence[Point], rng: np.random.Generator) -> Works | None:
    """None where all work or none does."""
    labels = np.array([-1.0 if point.values is None or point.violation > 0 else 1.0 for point in points])
    if len(np.unique(labels)) < 2:
        return None
    features = encoding.features(encoding.rows([point.key for point in points]))
    fit = fit_of(features, encoding.groups, labels, rng)
    return Works(Posterior(features, encoding.groups, labels, fit))


def fit_of(features: Array, groups: NDArray[np.intp], y: Array, rng: np.random.Generator) -> Fit:
    if len(y) > _FITTED:
        order = np.argsort(y, kind="stable")
        half = _FITTED // 2
        chosen = np.concatenate([order[:half], rng.permutation(order[half:])[:half]])
        features, y = features[chosen], y[chosen]
    return fitted(features, groups, y)


def _losses(ask: Ask, points: Sequence[Point]) -> Array:
    sign = -1.0 if ask.problem.goals[0] is Goal.MAXIMIZE else 1.0
    return sign * np.array([point.values[0] for point in points if point.values is not None])


def _best_first(points: Sequence[Point], ask: Ask) -> list[Point]:
    """Those that work first."""
    worked = [point for point in points if point.values is not None]
    ranks = np.argsort(_losses(ask, worked), kind="stable")
    ordered = [worked[rank] for rank in ranks]
    return sorted(ordered, key=lambda point: point.violation > 0)


def under_way(ask: Ask) -> list[PointKey]:
    recorded = [point.key for point in ask.known.points if not point.useful]
    running = [key for _, key in sorted((number, ask.space.key(p)) for number, p in ask.running.items()) if key]
    return [*recorded, *running][-_BELIEVED:]
