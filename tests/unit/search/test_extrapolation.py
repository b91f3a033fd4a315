"""Values of different budgets on one scale: against scikit-learn's isotonic regression, and what follows for trials."""

from itertools import groupby, pairwise
from statistics import fmean

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from tuning_operator.search.extrapolation import Line, extrapolated


@pytest.mark.parametrize("seed", range(5))
def test_the_line_goes_through_the_blocks_of_an_isotonic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 30, 60) / 10  # some are there several times
    y = x + rng.normal(size=60)
    fitted = IsotonicRegression().fit(x, y).predict(np.sort(x))
    line = Line(zip(x.tolist(), y.tolist(), strict=True))
    for level, block in groupby(zip(np.sort(x).tolist(), fitted.tolist(), strict=True), key=lambda each: each[1]):
        assert line(fmean(place for place, _ in block)) == pytest.approx(level)
    assert all(low < high for low, high in pairwise(map(line, np.linspace(-1, 4, 200).tolist())))


CASES = {
    "at one budget all keep what they have": ([{1: 0.3}, {1: 0.2}, {}], [0.3, 0.2, None]),
    "who came further keeps what it has there": ([{1: 0.5, 3: 0.4}, {1: 0.3, 3: 0.1}], [0.4, 0.1]),
    "between two that came further": ([{1: 0.5, 3: 0.4}, {1: 0.3, 3: 0.1}, {1: 0.4}], [0.4, 0.1, 0.25]),
    "behind all that came further": ([{1: 0.5, 3: 0.4}, {1: 0.3, 3: 0.1}, {1: 0.7}], [0.4, 0.1, 0.6]),
    "before all that came further": ([{1: 0.5, 3: 0.4}, {1: 0.3, 3: 0.1}, {1: 0.2}], [0.4, 0.1, 0.0]),
    "from rung to rung": ([{1: 0.5, 3: 0.4, 9: 0.2}, {1: 0.6, 3: 0.5}, {1: 0.7}], [0.2, 0.3, 0.4]),
    "one that disappoints speaks for those like it": ([{1: 0.1, 3: 0.9}, {1: 0.3, 3: 0.1}, {1: 0.2}], [0.9, 0.1, 0.5]),
    "one that began at a higher rung": ([{3: 0.4}, {1: 0.5, 3: 0.3}, {1: 0.6}], [0.4, 0.3, 0.4]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_trial_is_expected_to_come_to_what_those_like_it_came_to(case: str) -> None:
    curves, wanted = CASES[case]
    assert extrapolated(curves) == [None if value is None else pytest.approx(value) for value in wanted]
