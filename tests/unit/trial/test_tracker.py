"""What is remembered of the reports: last, best, mean."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tuning_trial.environment import Objective
from tuning_trial.report import Best
from tuning_trial.tracker import Tracker


def a_tracker(*values: float, maximize: bool = True, window: int | None = None) -> Tracker:
    tracker = Tracker([Objective("score", maximize, window)])
    for step, value in enumerate(values):
        tracker.add(step, {"score": value})
    return tracker


@pytest.mark.parametrize(
    ("values", "maximize", "best"),
    [
        pytest.param([1, 3, 2], True, Best(3, 1), id="the highest when maximised"),
        pytest.param([2, 1, 3], False, Best(1, 1), id="the lowest when minimised"),
        pytest.param([2, 2], True, Best(2, 0), id="the first of equals"),
        pytest.param([math.nan, 1, math.inf], True, Best(1, 1), id="only finite values"),
        pytest.param([math.nan], True, None, id="none without a finite value"),
    ],
)
def test_best(values: list[float], maximize: bool, best: Best | None) -> None:
    assert a_tracker(*values, maximize=maximize).report().best.get("score") == best


def test_mean_is_over_the_last_reports_of_the_window() -> None:
    assert a_tracker(1, 2, 4, window=2).report().mean == {"score": 3}
    assert math.isnan(a_tracker(1, math.nan, window=2).report().mean["score"])
    assert a_tracker(window=2).report().mean == {}


def test_metrics_stay_until_they_are_reported_again() -> None:
    tracker = Tracker()
    tracker.add(1, {"a": 1, "b": 2}, steps=10)
    tracker.add(2, {"a": 3})
    report = tracker.report()
    assert (report.step, report.steps, report.final) == (2, 10, {"a": 3, "b": 2})


class Scalar:
    """What a tensor of one element looks like."""

    def __float__(self) -> float:
        return 0.5


@pytest.mark.parametrize("value", [1, 0.5, True, "0.5", Scalar()], ids=str)
def test_whatever_float_takes_is_a_value(value: Any) -> None:
    tracker = Tracker()
    tracker.add(0, {"a": value})
    assert tracker.last["a"] == float(value)


@pytest.mark.parametrize(
    ("step", "metrics", "words"),
    [
        pytest.param(-1, {}, "step is -1", id="a negative step"),
        pytest.param(0.5, {}, "step is 0.5", id="half a step"),
        pytest.param(True, {}, "step is True", id="a truth as a step"),
        pytest.param(1, {"val/loss": 1}, "'val/loss' cannot name a metric", id="a name Prometheus has no room for"),
        pytest.param(1, {"step": 1}, "'step' cannot name a metric", id="the name of the step"),
        pytest.param(1, {"a": None}, "a is 'None'; a metric is one number", id="no value"),
        pytest.param(1, {"a": [1, 2]}, "a metric is one number", id="two values"),
    ],
)
def test_a_bad_report_is_refused_and_changes_nothing(step: Any, metrics: dict[str, Any], words: str) -> None:
    tracker = Tracker()
    tracker.add(7, {"good": 1})
    before = tracker.report()
    with pytest.raises((TypeError, ValueError)) as refused:
        tracker.add(step, {"good": 2, **metrics})
    assert words in str(refused.value)
    assert tracker.report() == before


def test_a_restored_tracker_goes_on_as_if_nothing_had_happened() -> None:
    one = a_tracker(5, 1, 2, window=3)
    other = a_tracker(window=3)
    other.restore(one.state())
    for tracker in (one, other):
        tracker.add(3, {"score": 4})
    assert other.report() == one.report()
    assert other.report().best == {"score": Best(5, 0)}


@pytest.mark.parametrize(
    ("objective", "values", "rungs"),
    [
        pytest.param(Objective("score", True), [4, 3, 2, 1], {1: 3, 3: 1}, id="the last value"),
        pytest.param(Objective("score", True, best_counts=True), [4, 3, 2, 5], {1: 4, 3: 5}, id="the best so far"),
        pytest.param(Objective("score", False, best_counts=True), [4, 3, 2, 5], {1: 3, 3: 2}, id="the lowest so far"),
        pytest.param(Objective("score", True, 2), [4, 3, 2, 1], {1: 3.5, 3: 1.5}, id="the mean of the window"),
        pytest.param(Objective("score", True, best_counts=True), [math.nan, 3], {1: 3}, id="a finite best"),
    ],
)
def test_a_rung_holds_what_the_study_asks_for(
    objective: Objective, values: list[float], rungs: dict[int, float]
) -> None:
    tracker = Tracker([objective], [1, 3, 9])
    for step, value in enumerate(values):
        tracker.add(step, {"score": value})
    assert tracker.report().rungs == {budget: {"score": value} for budget, value in rungs.items()}


def test_a_rung_takes_the_first_report_at_or_after_it_and_keeps_it() -> None:
    tracker = Tracker([Objective("score", True), Objective("size", False)], [1, 3, 9])
    tracker.add(4, {"score": 0.5, "other": 1})
    tracker.add(5, {"score": 0.7, "size": 2})
    tracker.add(9, {"score": math.nan, "size": 2})
    rungs = tracker.report().rungs
    assert (rungs[1], rungs[3]) == ({"score": 0.5, "size": 2}, {"score": 0.5, "size": 2})
    assert math.isnan(rungs[9]["score"])


def test_a_restored_tracker_still_knows_the_earlier_rungs() -> None:
    one, other = (Tracker([Objective("score", True)], [1, 3]) for _ in range(2))
    one.add(1, {"score": 0.5})
    other.restore(one.state())
    other.add(3, {"score": 0.75})
    assert other.report().rungs == {1: {"score": 0.5}, 3: {"score": 0.75}}


def test_a_state_from_before_there_were_rungs_can_be_restored() -> None:
    tracker = Tracker([Objective("score", True)], [1])
    tracker.restore({"step": 1, "last": {"score": 1}, "best": {}, "windows": {}})
    assert tracker.report().rungs == {}
