import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.spaces import SPACES, a_problem, identity, loss
from tuning_operator.search.known import Known
from tuning_operator.search.seeds import draw
from tuning_operator.search.suggest import suggest
from tuning_operator.search.types import Observation, Suggestion


def observations(space: str, count: int) -> list[Observation]:
    task = a_problem(SPACES[space])
    rng = random.Random(5)
    points = [task.space.build(lambda axis: draw(axis.values, rng)) for _ in range(count)]
    results: list[Observation] = []
    for number, point in enumerate(points):
        kind = number % 7
        values = None if kind in (2, 5) else (loss(point),)
        results.append(Observation(number, {} if kind == 6 else point, values, infeasible=kind == 5))
    return results


@pytest.mark.parametrize("space", ["infinite conditional", "conditional"])
@given(order=st.permutations(range(30)), cuts=st.lists(st.integers(0, 30), max_size=4), forgets=st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_kept_memory_equals_a_fresh_one(space: str, order: list[int], cuts: list[int], forgets: bool) -> None:
    """Results arrive in any order and any portions; even a history that shrinks is followed."""
    task = a_problem(SPACES[space], startup_trials=5)
    arriving = [observations(space, 30)[index] for index in order]
    kept = Known(task.space)
    for cut in cuts if forgets else sorted(cuts):
        history = tuple(arriving[:cut])
        running = {100: arriving[0].parameters}
        incremental = suggest(task, history=history, running=running, number=200 + cut, known=kept)
        fresh = suggest(task, history=history, running=running, number=200 + cut)
        assert incremental == fresh
        if isinstance(fresh, Suggestion) and isinstance(incremental, Suggestion):
            assert identity(incremental.parameters) == identity(fresh.parameters)


def test_only_what_is_new_is_looked_at() -> None:
    task = a_problem(SPACES["mixed"])
    history = observations("mixed", 50)
    kept = Known(task.space)
    kept.learn(tuple(history))
    before = {point.number: point for point in kept.points}
    kept.learn((*history[:-1], history[-1], Observation(99, history[0].parameters, (1.0,))))
    assert all(before[point.number] is point for point in kept.points if point.number != 99)
    assert kept.points[-1].number == 99


def test_a_history_that_grows_in_place_is_followed() -> None:
    task = a_problem(SPACES["mixed"])
    history = observations("mixed", 3)
    kept = Known(task.space)
    kept.learn(history)
    history.append(Observation(3, history[0].parameters, (1.0,)))
    kept.learn(history)
    assert [point.number for point in kept.points] == [0, 1, 2, 3]
