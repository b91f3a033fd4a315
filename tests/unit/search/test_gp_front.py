"""A Gaussian process for several objectives: covers more than random points and TPE, and keeps to constraints."""

import math
from collections.abc import Callable

import pytest

from tests.unit.search.spaces import a_choice, a_float, a_problem, an_int, when
from tuning_operator.search.known import Known
from tuning_operator.search.pareto import hypervolume
from tuning_operator.search.suggest import suggest
from tuning_operator.search.types import Observation, Parameters, Suggestion

SPACE = [a_float(f"x{index}", 0, 1) for index in range(6)]


def zdt1(p: Parameters) -> tuple[float, float]:
    x = [float(p[f"x{index}"]) for index in range(6)]
    g = 1 + 9 * math.fsum(x[1:]) / 5
    return x[0], g * (1 - math.sqrt(x[0] / g))


def run(algorithm: str, trials: int, broken: Callable[[Parameters], float] = lambda p: 0.0) -> list[Observation]:
    task = a_problem(SPACE, algorithm=algorithm, goals=("Minimize", "Maximize"), seed=2)
    known, history = Known(task.space), list[Observation]()
    for number in range(trials):
        made = suggest(task, history=history, running={}, number=number, known=known)
        assert isinstance(made, Suggestion)
        first, second = zdt1(made.parameters)
        violation = broken(made.parameters)
        history.append(Observation(number, made.parameters, (first, -second), violation=violation))
    return history


def covered(history: list[Observation]) -> float:
    return hypervolume([(o.values[0], -o.values[1]) for o in history if o.values], (1.1, 1.1))


def test_a_front_is_found_in_few_trials() -> None:
    """The whole front covers 0.87; random points and TPE stay far from it."""
    reached = covered(run("GP", 40))
    assert reached > 0.7
    assert reached > 1.5 * max(covered(run("TPE", 40)), covered(run("QuasiRandom", 40)))


def test_constraints_are_learned() -> None:
    history = run("GP", 40, broken=lambda p: max(0.0, float(p["x0"]) - 0.5))
    assert sum(o.violation > 0 for o in history[20:]) <= 6
    assert covered([o for o in history if o.violation <= 0]) > 0.25


@pytest.mark.parametrize("values", [(1.0, 2.0), (1e300, -1e300)], ids=["all alike", "as large as can be"])
def test_odd_values_are_survived(values: tuple[float, float]) -> None:
    space = [an_int("a", 1, 9), a_choice("b", "x", "y"), a_float("c", 0, 1, when=[when("b", "x")])]
    task = a_problem(space, algorithm="GP", goals=("Minimize", "Maximize"))
    history: list[Observation] = []
    for number in range(16):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        assert task.space.problems(made.parameters) == ()
        history.append(Observation(number, made.parameters, values if number % 2 else (0.0, 0.0)))
