"""Which trials are the best: by budget, by several objectives, by weights."""

import random

import pytest

from tests.unit.core.builders import a_spec, a_suggestion
from tuning_operator.api.trial import Role
from tuning_operator.core.leaders import Leaders
from tuning_operator.core.model import Trial

TWO = [{"metric": "accuracy", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]


def leaders(*values: tuple[float, ...], objectives: list[dict[str, object]] | None = None) -> Leaders:
    """Trials with these values, in the order of their numbers."""
    spec = a_spec(objectives=objectives or TWO)
    found = Leaders(spec.objectives)
    for number, each in enumerate(values):
        found.offer(a_trial(number), dict(zip([o.metric for o in spec.objectives], each, strict=False)))
    return found


def a_trial(number: int) -> Trial:
    return Trial(number, Role.SEARCH, a_suggestion(number), created_at=0.0)


def numbers(found: Leaders) -> list[int]:
    return [leader.trial.number for leader in found.front]


FRONTS: dict[str, tuple[list[tuple[float, float]], list[int]]] = {
    "one trial": ([(0.5, 5.0)], [0]),
    "each is better in something": ([(0.5, 1.0), (0.9, 5.0), (0.7, 3.0)], [1, 2, 0]),
    "a later one beats two earlier ones": ([(0.5, 5.0), (0.6, 6.0), (0.9, 1.0)], [2]),
    "a later one is beaten": ([(0.9, 1.0), (0.8, 2.0)], [0]),
    "no worse is not enough": ([(0.9, 1.0), (0.9, 2.0)], [0]),
    "of equal ones the first": ([(0.9, 1.0), (0.9, 1.0)], [0]),
}


@pytest.mark.parametrize("case", FRONTS)
def test_the_front_when(case: str) -> None:
    values, front = FRONTS[case]
    assert numbers(leaders(*values)) == front


def test_the_front_is_the_same_in_any_order_and_as_by_comparing_all() -> None:
    rng = random.Random(1)
    for _ in range(50):
        values = [(rng.randrange(6) / 5, float(rng.randrange(6))) for _ in range(20)]
        found = Leaders(a_spec(objectives=TWO).objectives)
        for number in rng.sample(range(20), 20):
            found.offer(a_trial(number), {"accuracy": values[number][0], "size": values[number][1]})
        unbeaten = {
            mine for mine in values if not any(o[0] >= mine[0] and o[1] <= mine[1] and o != mine for o in values)
        }
        assert sorted(numbers(found)) == sorted(values.index(each) for each in unbeaten)


def test_the_knee_is_named_best() -> None:
    found = leaders((0.50, 1.0), (0.88, 2.0), (0.90, 9.0))
    assert found.best is not None
    assert found.best.trial.number == 1


def test_weights_say_which_end_of_the_front_is_wanted() -> None:
    heavy = [{**TWO[0], "weight": 100.0}, {**TWO[1], "weight": 1.0}]
    light = [{**TWO[0], "weight": 1.0}, {**TWO[1], "weight": 100.0}]
    values = ((0.50, 1.0), (0.70, 3.0), (0.90, 9.0))
    assert [leaders(*values, objectives=each).best.trial.number for each in (heavy, light)] == [2, 0]  # type: ignore[union-attr]


def test_a_higher_budget_counts_before_a_better_value() -> None:
    found = Leaders(a_spec().objectives)
    assert found.offer(a_trial(0), {"accuracy": 0.9}, budget=1)
    assert found.offer(a_trial(1), {"accuracy": 0.5}, budget=3)
    assert not found.offer(a_trial(2), {"accuracy": 0.99}, budget=1)
    assert found.offer(a_trial(3), {"accuracy": 0.4})
    assert found.best is not None
    assert found.best.trial.number == 3


def test_a_trial_without_every_value_takes_no_part() -> None:
    assert not leaders((0.9,)).front


def test_the_top_goes_front_by_front() -> None:
    found = leaders((0.5, 1.0), (0.9, 5.0), (0.4, 2.0), (0.7, 2.0))
    assert {leader.trial.number for leader in found.top(3)} == {0, 1, 3}
    assert [leader.trial.number for leader in found.top(4)][3] == 2
    assert [leader.trial.number for leader in found.top(1)] == [found.best.trial.number]  # type: ignore[union-attr]


def test_with_one_objective_the_top_goes_by_value_then_number() -> None:
    found = leaders((0.5,), (0.9,), (0.7,), (0.9,), objectives=[TWO[0]])
    assert [leader.trial.number for leader in found.top(3)] == [1, 3, 2]
