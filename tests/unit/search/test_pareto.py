"""Fronts, crowding and hypervolume against brute force, worked examples and Optuna's hypervolume."""

import math
import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from tuning_operator.search.pareto import (
    constrained_fronts,
    crowding,
    dominates,
    fronts,
    hypervolume,
    knee,
    reference,
)

few = st.integers(0, 4).map(float)
clouds = st.integers(1, 5).flatmap(lambda m: st.lists(st.tuples(*[few] * m), max_size=24))


def by_definition(losses: Sequence[Sequence[float]]) -> list[list[int]]:
    left, found = set(range(len(losses))), []
    while left:
        front = {i for i in left if not any(dominates(losses[j], losses[i]) for j in left)}
        found.append(sorted(front))
        left -= front
    return found


def a_cloud(points: int, objectives: int, seed: int) -> list[tuple[float, ...]]:
    rng = random.Random(seed)
    return [tuple(rng.random() for _ in range(objectives)) for _ in range(points)]


@given(clouds)
def test_fronts_are_those_of_the_definition(losses: list[tuple[float, ...]]) -> None:
    assert fronts(losses) == by_definition(losses)


def test_fronts_of_ten_thousand_trials_take_no_time() -> None:
    """Also where all are on one front."""
    line = [(float(index), float(-index)) for index in range(10_000)]
    assert fronts(line) == [list(range(10_000))]
    many = a_cloud(10_000, 4, 1)
    begin = time.process_time()
    assert sum(map(len, fronts(many))) == 10_000
    assert time.process_time() - begin < 2.0, "some 0.1 s where nothing else runs; minutes if each met each"


def test_a_feasible_trial_stands_before_any_infeasible_one_and_less_violation_before_more() -> None:
    losses = [(0.0, 0.0), (5.0, 5.0), (math.nan, 1.0), (4.0, 6.0), (0.0, 0.0), (6.0, 6.0)]
    assert constrained_fronts(losses, [2.0, 0.0, 0.5, 0.0, 2.0, 0.0]) == [[1, 3], [5], [2], [0, 4]]


@pytest.mark.parametrize(
    ("front", "want"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(1.0, 2.0)], [math.inf], id="one alone"),
        pytest.param([(0.0, 4.0), (4.0, 0.0)], [math.inf, math.inf], id="two ends"),
        pytest.param(
            [(0.0, 10.0), (1.0, 5.0), (5.0, 1.0), (10.0, 0.0)],
            [math.inf, 5 / 10 + 9 / 10, 9 / 10 + 5 / 10, math.inf],
            id="inner ones by the box between their neighbours",
        ),
        pytest.param([(1.0, 1.0)] * 3, [math.inf, 0.0, math.inf], id="equal ones crowd each other"),
    ],
)
def test_crowding(front: list[tuple[float, ...]], want: list[float]) -> None:
    assert crowding(front) == pytest.approx(want)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_hypervolume_is_the_one_optuna_computes(objectives: int) -> None:
    for seed in range(6):
        losses = a_cloud(40 if objectives < 5 else 20, objectives, seed)
        corner = [0.9] * objectives
        want = compute_hypervolume(
            np.array([p for p in losses if max(p) < 0.9]).reshape(-1, objectives), np.array(corner)
        )
        assert hypervolume(losses, corner) == pytest.approx(want, rel=1e-12)


@given(st.integers(2, 5).flatmap(lambda m: st.lists(st.tuples(*[few] * m), min_size=1, max_size=10)))
def test_hypervolume_is_the_count_of_dominated_cells(losses: list[tuple[float, ...]]) -> None:
    objectives = len(losses[0])
    cells = np.stack(np.meshgrid(*[np.arange(4)] * objectives, indexing="ij"), axis=-1).reshape(-1, objectives)
    dominated = np.any([np.all(cells >= np.array(point), axis=1) for point in losses], axis=0).sum()
    assert hypervolume(losses, [4.0] * objectives) == pytest.approx(float(dominated))


def test_nothing_is_covered_from_a_reference_that_nothing_reaches() -> None:
    assert hypervolume([(1.0, 0.0), (0.5, 2.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([], (1.0, 1.0)) == 0.0


@pytest.mark.parametrize(
    ("front", "weights", "want"),
    [
        pytest.param([(0.0, 1.0), (0.1, 0.5), (0.45, 0.45), (1.0, 0.0)], None, 1, id="the bend of a convex front"),
        pytest.param([(0.0, 100.0), (0.1, 50.0), (1.0, 0.0)], None, 1, id="units do not matter"),
        pytest.param([(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], None, 1, id="the middle of a straight front"),
        pytest.param([(0.0, 1.0), (1.0, 0.0)], None, 0, id="of two ends the first"),
        pytest.param([(0.0, 1.0), (0.1, 0.5), (1.0, 0.0)], [3.0, 3.0], 1, id="equal weights are none"),
        pytest.param([(0.0, 1.0), (0.1, 0.5), (1.0, 0.0)], [1.0, 5.0], 2, id="what counts more is compromised less"),
        pytest.param([(2.0, 3.0), (2.0, 3.0)], None, 0, id="equal ones"),
        pytest.param([(0.2,)], None, 0, id="one objective"),
    ],
)
def test_knee(front: list[tuple[float, ...]], weights: list[float] | None, want: int) -> None:
    assert knee(front, weights) == want


def test_a_reference_lies_beyond_every_point_even_where_all_are_equal() -> None:
    losses = [(1.0, -5.0, 0.0), (3.0, -5.0, 0.0)]
    assert reference(losses) == pytest.approx((3.2, -4.5, 0.1))
    assert hypervolume(losses, reference(losses)) > 0
