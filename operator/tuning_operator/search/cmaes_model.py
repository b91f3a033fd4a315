"""The distribution of CMA-ES, worked out from results. Imported only when it is needed, for it needs numpy.

Every ordered axis is a coordinate in [0, 1]. A generation may have any number of results: weights and learning rates
are those of that number. Steps of single results are cut to a length that is plausible (Hansen, 2011), for they may
come from elsewhere (an older distribution, clipping to the range). A finite axis keeps a deviation of a third of its
cell, without which rounding would freeze it (the margin of Hamano et al., 2022, in a simpler form).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tuning_operator.api.algorithm import CMAESSettings
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import Goal
from tuning_operator.search.ask import Ask
from tuning_operator.search.dimension import Key
from tuning_operator.search.known import Point
from tuning_operator.search.space import Axis

Array = np.ndarray[Any, np.dtype[np.float64]]

_MARGIN = 0.3
"""Least deviation of a finite axis, in cells."""
_COLLAPSED = 1e-7
"""Below this greatest deviation the distribution starts anew around a random point."""
_CONDITION = 1e12
_INSIDE = 32
"""Draws of a point that may lie outside of the ranges, until it is clipped to them."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The distribution of one generation."""

    mean: Array
    sigma: float
    covariance: Array
    step_path: Array
    path: Array
    generation: int
    frequencies: Mapping[int, Array]


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    before: State
    results: tuple[Point, ...]
    after: State


class Distribution:
    """What the next trial is drawn from."""

    def __init__(self, ask: Ask, settings: CMAESSettings) -> None:
        self._ask = ask
        axes = ask.space.axes
        self._places = [i for i, axis in enumerate(axes) if axis.values.ordered and axis.values.count != 1]
        self._cells = np.array([1.0 / (axes[index].values.count or math.inf) for index in self._places])
        self._choices = [i for i, axis in enumerate(axes) if not axis.values.ordered and axis.values.count != 1]
        self._sigma = settings.sigma
        size = settings.population or 4 + math.floor(3 * math.log(max(1, len(self._places))))
        self._state = self._replayed(size)

    @property
    def generation(self) -> int:
        return self._state.generation

    @property
    def sigma(self) -> float:
        return self._state.sigma

    def points(self, count: int) -> Iterator[dict[str, JSONScalar]]:
        """Draws for this trial, the same ones each time."""
        rng = np.random.Generator(np.random.PCG64(self._ask.seed("cmaes")))
        names = {axis.name: index for index, axis in enumerate(self._ask.space.axes)}
        values, vectors = np.linalg.eigh(self._state.covariance)
        spread = vectors * np.sqrt(np.maximum(values, 0.0))
        for _ in range(count):
            units = self._draw(spread, rng)
            drawn = {index: float(unit) for index, unit in zip(self._places, units, strict=True)}
            for index in self._choices:
                shares = np.cumsum(self._state.frequencies[index])
                drawn[index] = float(min(np.searchsorted(shares, rng.random() * shares[-1]), len(shares) - 1))

            def choose(axis: Axis, drawn: Mapping[int, float] = drawn) -> Key:
                if axis.values.count == 1:
                    return 0
                given = drawn[names[axis.name]]
                return axis.values.from_unit(given) if axis.values.ordered else int(given)

            yield self._ask.space.build(choose)

    def _draw(self, spread: Array, rng: np.random.Generator) -> Array:
        found = self._state.mean
        for _ in range(_INSIDE):
            found = self._state.mean + self._state.sigma * (spread @ rng.standard_normal(len(self._places)))
            if np.all((found >= 0) & (found <= 1)):
                break
        return np.clip(found, 0.0, 1.0)

    def _replayed(self, size: int) -> State:
        cohorts: dict[int, list[Point]] = {}
        others: list[Point] = []
        for point in self._ask.known.points:
            if point.useful:
                if point.generation is None or point.number < 0:
                    others.append(point)
                else:
                    cohorts.setdefault(point.generation, []).append(point)
        state = self._first(others, cohorts)
        latest = max(cohorts, default=0)
        kept = self._ask.known.derived
        while state.generation < latest or len(cohorts.get(state.generation, ())) >= size:
            results = tuple(cohorts.get(state.generation, ()))
            past = kept.get(state.generation)
            if (
                past is not None
                and isinstance(past[1], _Past)
                and past[1].results == results
                and (past[1].before is state or (state.generation == 0 and _same(past[1].before, state)))
            ):
                state = past[1].after
                continue
            after = self._updated(state, results)
            kept[state.generation] = (Point(0, (), None, infeasible=False), _Past(state, results, after))
            state = after
        return state

    def _first(self, others: Sequence[Point], cohorts: Mapping[int, Sequence[Point]]) -> State:
        """Around the middle, or the best point of those that the study began with."""
        count = len(self._places)
        mean = np.full(count, 0.5)
        start = min((point.number for points in cohorts.values() for point in points), default=math.inf)
        given = [point for point in others if point.number < start and point.values is not None]
        if given:
            best = self._ordered(given)[0]
            mean = self._units(best, mean)
        return self._fresh(mean, 0)

    def _fresh(self, mean: Array, generation: int) -> State:
        count = len(self._places)
        frequencies: dict[int, Array] = {}
        for index in self._choices:
            options = self._ask.space.axes[index].values.count or 1
            frequencies[index] = np.full(options, 1.0 / options)
        zeros = np.zeros(count)
        return State(mean, self._sigma, np.eye(count), zeros, zeros, generation, frequencies)

    def _ordered(self, points: Sequence[Point]) -> list[Point]:
        sign = -1.0 if self._ask.problem.goals[0] is Goal.MAXIMIZE else 1.0

        def rank(point: Point) -> tuple[float, float, int]:
            if point.values is None:
                return math.inf, 0.0, point.number
            return point.violation, sign * point.values[0], point.number

        return sorted(points, key=rank)

    def _units(self, point: Point, mean: Array) -> Array:
        keys = dict(point.key)
        axes = self._ask.space.axes
        return np.array(
            [
                axes[index].values.unit(keys[index]) if index in keys else float(mean[place])
                for place, index in enumerate(self._places)
            ]
        )

    def _updated(self, state: State, results: Sequence[Point]) -> State:
        count = len(self._places)
        if len(results) < 2:
            return State(
                state.mean,
                state.sigma,
                state.covariance,
                state.step_path,
                state.path,
                state.generation + 1,
                state.frequencies,
            )
        ordered = self._ordered(results)
        rates = _rates(count, len(results))
        values, vectors = np.linalg.eigh(state.covariance)
        whiten = (vectors / np.sqrt(np.maximum(values, 1e-30))) @ vectors.T
        steps = (np.array([self._units(point, state.mean) for point in ordered]) - state.mean) / state.sigma
        lengths = np.linalg.norm(steps @ whiten, axis=1)
        longest = math.sqrt(count) + 2 * count / (count + 2)
        steps *= np.minimum(1.0, longest / np.maximum(lengths, 1e-30))[:, None]
        moved = rates.weights[: rates.mu] @ steps[: rates.mu]
        step_path = (1 - rates.c_sigma) * state.step_path
        step_path = step_path + math.sqrt(rates.c_sigma * (2 - rates.c_sigma) * rates.mu_eff) * (whiten @ moved)
        length = float(np.linalg.norm(step_path))
        sigma = state.sigma * math.exp(min(1.0, rates.c_sigma / rates.d_sigma * (length / rates.chi - 1)))
        expected = math.sqrt(1 - (1 - rates.c_sigma) ** (2 * (state.generation + 1)))
        steady = 1.0 if length / expected < (1.4 + 2 / (count + 1)) * rates.chi else 0.0
        path = (1 - rates.c_c) * state.path
        path = path + steady * math.sqrt(rates.c_c * (2 - rates.c_c) * rates.mu_eff) * moved
        white = np.minimum(lengths, longest)
        signed = np.where(rates.weights >= 0, rates.weights, rates.weights * count / np.maximum(white**2, 1e-8))
        lost = (1 - steady) * rates.c_c * (2 - rates.c_c)
        covariance = (
            (1 + rates.c_1 * lost - rates.c_1 - rates.c_mu * float(rates.weights.sum())) * state.covariance
            + rates.c_1 * np.outer(path, path)
            + rates.c_mu * (steps.T * signed) @ steps
        )
        mean = np.clip(state.mean + state.sigma * moved, 0.0, 1.0)
        return self._settled(
            State(
                mean,
                min(sigma, 1.0),
                covariance,
                step_path,
                path,
                state.generation + 1,
                self._leaned(state, ordered[: rates.mu], rates),
            )
        )

    def _leaned(self, state: State, better: Sequence[Point], rates: "_Rates") -> dict[int, Array]:
        """Frequencies move towards those among the better half, and never quite leave any option."""
        found = {}
        for index in self._choices:
            options = state.frequencies[index]
            votes = np.zeros_like(options)
            for point, weight in zip(better, rates.weights[: rates.mu], strict=True):
                key = dict(point.key).get(index)
                if key is not None:
                    votes[int(key)] += weight
            total = float(votes.sum())
            rate = total * rates.mu_eff / (rates.mu_eff + len(options))
            leaned = (1 - rate) * options + (rate / total if total else 0.0) * votes
            leaned = np.maximum(leaned, 0.1 / len(options))
            found[index] = leaned / leaned.sum()
        return found

    def _settled(self, state: State) -> State:
        """Kept healthy: symmetric, well conditioned, with margins; started anew where it has shrunk to a point."""
        covariance = (state.covariance + state.covariance.T) / 2
        values, vectors = np.linalg.eigh(covariance)
        most = float(values.max())
        if not math.isfinite(most) or state.sigma * math.sqrt(max(most, 0.0)) < _COLLAPSED:
            seed = self._ask.study_seed(f"cmaes restart {state.generation}")
            rng = np.random.Generator(np.random.PCG64(seed))
            return self._fresh(rng.random(len(self._places)), state.generation)
        if float(values.min()) < most / _CONDITION:
            covariance = (vectors * np.maximum(values, most / _CONDITION)) @ vectors.T
        wanted = (_MARGIN * self._cells / state.sigma) ** 2
        short = np.maximum(wanted - np.diag(covariance), 0.0)
        return State(
            state.mean,
            state.sigma,
            covariance + np.diag(short),
            state.step_path,
            state.path,
            state.generation,
            state.frequencies,
        )


def _same(one: State, other: State) -> bool:
    return bool(np.array_equal(one.mean, other.mean)) and one.sigma == other.sigma


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    weights: Array
    mu: int
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float


@lru_cache(maxsize=256)
def _rates(n: int, size: int) -> _Rates:
    """Weights and learning rates for n coordinates and so many results (Hansen, 2016, table 1)."""
    raw = np.array([math.log((size + 1) / 2) - math.log(i + 1) for i in range(size)])
    mu = size // 2
    mu_eff = float(raw[:mu].sum() ** 2 / (raw[:mu] ** 2).sum())
    rest = raw[mu:]
    mu_eff_rest = float(rest.sum() ** 2 / (rest**2).sum()) if (rest**2).sum() else 0.0
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff))
    c_mu = max(c_mu, 1e-12)
    negative = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_rest / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu))
    positive, below = raw[raw > 0].sum(), -raw[raw < 0].sum()
    weights = np.where(raw >= 0, raw / positive, raw * (max(0.0, negative) / below if below else 0.0))
    chi = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    return _Rates(weights, mu, mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu, chi)
