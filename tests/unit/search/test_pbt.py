"""Population based training: who continues from whom, with which parameters; and the toy problem of the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.core.builders import a_spec
from tuning_operator.search.dimension import ChoiceDimension, RealDimension, StepDimension
from tuning_operator.search.pbt import perturbed
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Exhausted, Observation, Suggestion, Waiting

TWO = [{"name": "h0", "float": {"min": 0, "max": 1}}, {"name": "h1", "float": {"min": 0, "max": 1}}]
POSITIVE = [{"name": "lr", "float": {"min": 1e-4, "max": 1, "scale": "Log"}}]


class Population:
    """A study that is asked and told by hand."""

    def __init__(
        self, parameters: list[dict[str, Any]] = POSITIVE, *, full: int = 10, seed: int = 0, **settings: Any
    ) -> None:
        pbt = {"population": 4, "resample": 0.0} | settings
        spec = a_spec(
            parameters=parameters,
            algorithm={"name": "Auto", "seed": seed},
            fidelity={"min": 1, "max": full},
            scheduler={"name": "PBT", "pbt": pbt},
            limits__trials=1000,
        )
        self.problem = problem(spec, study_uid="uid")
        self.made: dict[int, Suggestion] = {}
        self.told: dict[int, Observation] = {}

    def ask(self, number: int) -> Any:
        running = {n: made.parameters for n, made in self.made.items() if n not in self.told and n != number}
        history = tuple(self.told[n] for n in sorted(self.told))
        answer = suggest(self.problem, history=history, running=running, number=number)
        if isinstance(answer, Suggestion):
            self.made[number] = answer
        return answer

    def tell(self, number: int, value: float | None, *, infeasible: bool = False) -> None:
        values = None if value is None else (value,)
        self.told[number] = Observation(number, self.made[number].parameters, values, infeasible)

    def first(self, *values: float | None) -> None:
        for number in range(4):
            self.ask(number)
        for number, value in enumerate(values):
            self.tell(number, value)


def test_the_first_generation_is_random_and_nobody_s_child() -> None:
    population = Population()
    made = [population.ask(number) for number in range(4)]
    assert [(each.generation, each.parent) for each in made] == [(0, None)] * 4
    assert len({each.parameters["lr"] for each in made}) == 4


def test_a_member_waits_for_its_own_last_generation_only() -> None:
    population = Population()
    population.first(0.5)
    assert isinstance(population.ask(5), Waiting)
    assert isinstance(population.ask(4), Suggestion)


def test_a_good_member_goes_on_with_its_own_parameters() -> None:
    population = Population()
    population.first(0.9, 0.5, 0.6, 0.1)
    child = population.ask(4)
    assert (child.generation, child.parent) == (1, 0)
    assert child.parameters == population.made[0].parameters


def test_the_worst_member_copies_the_best_and_changes_its_parameters() -> None:
    population = Population()
    population.first(0.9, 0.5, 0.6, 0.1)
    for number in (4, 5, 6):
        population.ask(number)
    child = population.ask(7)
    assert (child.generation, child.parent) == (1, 0)
    ratio = float(child.parameters["lr"]) / float(population.made[0].parameters["lr"])
    assert min(abs(ratio - 1.2), abs(ratio - 1 / 1.2)) < 1e-9
    assert child.reason == "generation 1 of member 3, which is among the worst, copies trial 0"


def test_what_counts_of_a_member_is_its_last_value() -> None:
    population = Population()
    population.first(0.9, 0.5, 0.6, 0.1)
    population.ask(4)
    population.tell(4, 0.2)
    assert population.ask(7).parent == 2, "member 0 fell behind, member 2 is the best now"


@pytest.mark.parametrize("infeasible", [True, False])
def test_a_member_that_failed_continues_from_another(infeasible: bool) -> None:
    population = Population()
    population.first(0.5, 0.6, 0.7)
    population.tell(3, None, infeasible=infeasible)
    child = population.ask(7)
    assert (child.generation, child.parent) == (1, 2)


def test_where_nobody_has_a_value_the_generation_begins_anew() -> None:
    population = Population()
    population.first(None, None, None, None)
    child = population.ask(4)
    assert (child.generation, child.parent) == (1, None)


def test_it_ends_when_every_member_reached_the_full_budget() -> None:
    population = Population(full=2)
    population.first(0.1, 0.2, 0.3, 0.4)
    for number in range(4, 8):
        population.ask(number)
        population.tell(number, 0.5)
    assert population.ask(8) == Exhausted("every one of 4 members reached the full budget")


def test_points_come_again_where_there_are_few() -> None:
    population = Population([{"name": "lr", "choice": [0.1, 0.2]}])
    population.first(0.1, 0.2, 0.3, 0.4)
    assert all(isinstance(population.ask(number), Suggestion) for number in range(4, 8))


def test_the_same_history_gives_the_same_child_in_another_process() -> None:
    children = []
    for _ in range(2):
        population = Population(resample=0.5)
        population.first(0.9, 0.5, 0.6, 0.1)
        children.append(population.ask(7))
    assert children[0] == children[1]


MOVES: dict[str, tuple[Any, Any, bool, Any]] = {
    "a positive number by the factor": (RealDimension(1.0, 100.0, True), 10.0, True, 12.0),
    "down by the factor": (RealDimension(1.0, 100.0, False), 12.0, False, 10.0),
    "not beyond the range": (RealDimension(1.0, 100.0, False), 95.0, True, 100.0),
    "a share of a range that holds 0": (RealDimension(0.0, 1.0, False), 0.5, False, 0.3),
    "a whole number by one at least": (StepDimension(1, 1, 1, 8, False, True), 1, True, 2),
    "a large whole number by the factor": (StepDimension(10, 10, 1, 50, False, True), 9, True, 11),
    "an ordered value to its neighbour": (ChoiceDimension(("s", "m", "l"), ordered=True), 1, False, 0),
    "a choice stays": (ChoiceDimension(("a", "b")), 1, True, 1),
}


@pytest.mark.parametrize("case", MOVES)
def test_a_change_moves(case: str) -> None:
    dimension, key, up, wanted = MOVES[case]
    assert perturbed(dimension, key, 1.2, up=up) == pytest.approx(wanted)


def toy(ask: Callable[[int], Any], tell: Callable[[int, float], None], *, copy: bool, rounds: int = 40) -> float:
    """The paper's example (figure 2): maximise 1.2 - (t0^2 + t1^2) by gradient steps on 1.2 - (h0 t0^2 + h1 t1^2)."""
    state: dict[int, tuple[float, float]] = {}
    best = float("-inf")
    for number in range(4 * rounds):
        made = ask(number)
        h: Mapping[str, float] = made.parameters
        parent = made.parent if copy or made.parent is None else number - 4
        t0, t1 = (0.9, 0.9) if parent is None else state[parent]
        for _ in range(4):
            t0, t1 = t0 - 0.02 * 2 * h["h0"] * t0, t1 - 0.02 * 2 * h["h1"] * t1
        state[number] = t0, t1
        value = 1.2 - (t0 * t0 + t1 * t1)
        best = max(best, value)
        tell(number, value)
    return best


def test_the_toy_problem_of_the_paper() -> None:
    alone, together = [], []
    for seed in range(5):
        population = Population(TWO, full=40, seed=seed, resample=0.25)
        together.append(toy(population.ask, population.tell, copy=True))
        fixed = Population(TWO, full=40, seed=seed)
        first: dict[int, Any] = {number: fixed.ask(number) for number in range(4)}
        alone.append(toy(lambda n, first=first: _again(first, n), lambda n, value: None, copy=True))
    assert sum(together) / 5 > 1.195
    assert sum(together) / 5 > sum(alone) / 5


def _again(first: Mapping[int, Suggestion], number: int) -> Suggestion:
    """The same parameters in every generation: a random search of fixed settings with the same budget."""
    made = first[number % 4]
    return Suggestion(made.parameters, by="", known=0, parent=number - 4 if number >= 4 else None)
