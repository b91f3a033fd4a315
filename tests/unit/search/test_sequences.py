"""Sobol's and Halton's points against SciPy's, and what scrambling must keep: even spread."""

import itertools

import numpy as np
import pytest
from scipy.stats import qmc

from tests.unit.search.spaces import CONDITIONAL, SMALL, SMALL_SIZE, a_float, a_problem, identity
from tuning_operator.search import halton, sobol
from tuning_operator.search.suggest import suggest
from tuning_operator.search.types import Exhausted, Observation, Suggestion


def points(sequence: object, count: int, dimensions: int, seed: int | None) -> np.ndarray:
    of = sequence.coordinate  # type: ignore[attr-defined]
    return np.array([[of(index, axis, seed=seed) for axis in range(dimensions)] for index in range(count)])


def test_without_a_seed_they_are_the_published_sequences_in_all_64_dimensions() -> None:
    assert (points(sobol, 512, 64, None) == qmc.Sobol(64, scramble=False, bits=32).random(512)).all()
    assert points(halton, 512, 64, None) == pytest.approx(qmc.Halton(64, scramble=False).random(512), abs=1e-12)


def test_scrambled_sobol_points_have_one_in_each_of_as_many_pieces_of_every_axis() -> None:
    for start in (0, 256):
        cells = (points(sobol, 512, 64, 11)[start : start + 256] * 256).astype(int)
        assert all(sorted(column) == list(range(256)) for column in cells.T)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_first_two_axes_of_scrambled_sobol_points_stay_a_net(seed: int) -> None:
    """One point in each of 256 boxes, however the area is cut into these (t = 0 for the first two axes)."""
    found = points(sobol, 256, 2, seed)
    for rows in (1, 4, 16, 64, 256):
        boxes = {(int(x * rows), int(y * (256 // rows))) for x, y in found}
        assert len(boxes) == 256


def test_permuted_halton_points_have_one_in_each_of_as_many_pieces_of_every_axis() -> None:
    for axis, base in enumerate((2, 3, 5, 7)):
        column = [halton.coordinate(index, axis, seed=4) for index in range(base**3)]
        assert sorted(int(value * base**3 + 1e-9) for value in column) == list(range(base**3))


@pytest.mark.parametrize("sequence", [sobol, halton], ids=["Sobol", "Halton"])
def test_they_are_spread_better_than_random_points_and_differently_by_seed(sequence: object) -> None:
    random = np.mean([qmc.discrepancy(np.random.default_rng(seed).random((128, 6))) for seed in range(8)])
    given = [points(sequence, 128, 6, seed) for seed in range(8)]
    assert np.mean([qmc.discrepancy(each) for each in given]) < 0.6 * random
    assert not any((a == b).any() for a, b in itertools.pairwise(given))
    assert all(each.min() >= 0 and each.max() < 1 for each in given)


@pytest.mark.parametrize("number", [10**4, 2**31])
def test_any_index_is_reached_at_once(number: int) -> None:
    for axis in range(64):
        assert 0 <= sobol.coordinate(number, axis, seed=3) < 1
        assert 0 <= halton.coordinate(number, axis, seed=3) < 1


@pytest.mark.parametrize("sequence", ["Sobol", "Halton"])
def test_a_trial_gets_the_point_of_its_number_whatever_is_known(sequence: str) -> None:
    space = [a_float("x", 0, 1), a_float("y", 1e-4, 1, scale="Log")]
    task = a_problem(space, algorithm="QuasiRandom", settings={"quasiRandom": {"sequence": sequence}})
    first = [suggest(task, history=[], running={}, number=number) for number in range(8)]
    history = [Observation(0, {"x": 0.5, "y": 0.1}, (1.0,))]
    for number, made in enumerate(first):
        again = suggest(task, history=history, running={99: {"x": 0.25, "y": 0.5}}, number=number)
        assert isinstance(made, Suggestion)
        assert isinstance(again, Suggestion)
        assert again.parameters == made.parameters
        assert made.reason == f"point {number + 1} of the {sequence} sequence"


def test_a_point_that_was_tried_is_passed_over_for_the_next_one() -> None:
    task = a_problem(SMALL, algorithm="QuasiRandom")
    made = [suggest(task, history=[], running={}, number=number) for number in range(12)]
    assert isinstance(made[0], Suggestion)
    tried = [Observation(7, made[0].parameters, (1.0,))]
    other = suggest(task, history=tried, running={}, number=0)
    later = [each.parameters for each in made[1:] if isinstance(each, Suggestion)]
    assert isinstance(other, Suggestion)
    assert identity(other.parameters) == identity(next(each for each in later if each != made[0].parameters))


def test_a_small_space_is_covered_soon_and_then_used_up() -> None:
    task = a_problem(SMALL, algorithm="QuasiRandom")
    history: list[Observation] = []
    for number in range(SMALL_SIZE):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        history.append(Observation(number, made.parameters, (0.0,)))
    assert isinstance(suggest(task, history=history, running={}, number=SMALL_SIZE), Exhausted)


def test_conditional_axes_have_coordinates_of_their_own() -> None:
    """Whether an axis is active does not shift those behind it."""
    task = a_problem([*CONDITIONAL, a_float("lr", 0, 1)], algorithm="QuasiRandom")
    values = []
    for number in range(64):
        made = suggest(task, history=[], running={}, number=number)
        assert isinstance(made, Suggestion)
        values.append(made.parameters["lr"])
    assert sorted(int(float(value) * 64) for value in values) == list(range(64))
