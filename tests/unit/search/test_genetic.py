"""Breeding, survival and generations, against the definitions in the papers and Optuna's selection."""

import itertools
import math
import random
import statistics
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.samplers.nsgaii._elite_population_selection_strategy import NSGAIIElitePopulationSelectionStrategy

from tests.unit.search.spaces import CONDITIONAL, MIXED, a_choice, a_float, a_problem, an_int
from tuning_operator.search import niches, nsga
from tuning_operator.search.ask import Ask
from tuning_operator.search.genetic import Member, child, mutated, polynomial, ranked, simulated_binary
from tuning_operator.search.known import Known
from tuning_operator.search.pareto import crowding, fronts
from tuning_operator.search.suggest import Problem, suggest
from tuning_operator.search.types import Observation, Suggestion


def a_member(number: int, *losses: float, violation: float = 0.0) -> Member:
    return Member(number, {}, losses, violation)


def test_survivors_are_those_that_optuna_keeps() -> None:
    rng = random.Random(4)
    for size in (5, 12, 20):
        values = [(rng.random(), rng.random()) for _ in range(40)]
        study = optuna.create_study(directions=["minimize", "minimize"])
        trials = [optuna.trial.create_trial(values=each) for each in values]
        for number, trial in enumerate(trials):
            trial.number = number
        kept = NSGAIIElitePopulationSelectionStrategy(population_size=size)(study, trials)
        ours = ranked([a_member(n, *each) for n, each in enumerate(values)])[:size]
        assert worth([member.number for member in ours], values) == worth([trial.number for trial in kept], values)


def worth(numbers: Sequence[int], values: Sequence[tuple[float, ...]]) -> list[tuple[int, float]]:
    """Front and crowding distance of each: of two ends of a front, equally far from others, either may be kept."""
    found = {}
    for place, front in enumerate(fronts(values)):
        for index, distance in zip(front, crowding([values[i] for i in front]), strict=True):
            found[index] = (place, round(distance, 9))
    return sorted(found[number] for number in numbers)


def test_constraints_come_first_and_what_does_not_work_last() -> None:
    pool = [
        a_member(0, 0.0, 0.0, violation=2.0),
        Member(1, {}, (), math.inf),
        a_member(2, 9.0, 9.0),
        a_member(3, 5.0, 5.0, violation=0.1),
        a_member(4, 1.0, 8.0),
    ]
    assert [member.number for member in ranked(pool)] == [4, 2, 3, 0, 1]


@pytest.mark.parametrize(
    ("objectives", "most", "want"),
    [(3, 92, 91), (3, 91, 91), (3, 90, 78), (5, 212, 210), (2, 50, 50), (4, 3, 4), (1, 50, 1)],
)
def test_directions_are_as_many_as_in_the_paper(objectives: int, most: int, want: int) -> None:
    """Das and Dennis: 12 divisions of 3 objectives are 91 points, 6 of 5 are 210."""
    found = niches.directions(objectives, most)
    assert len(set(found)) == len(found) == want
    assert all(math.isclose(sum(each), 1.0) for each in found)


def test_objectives_are_measured_from_the_ideal_point_to_the_intercepts() -> None:
    losses = [(10.0, 3.0), (14.0, 1.0), (11.0, 1.5)]
    assert niches.normalised(losses) == [pytest.approx(each) for each in [(0.0, 1.0), (1.0, 0.0), (0.25, 0.25)]]
    assert niches.normalised([(1.0, 2.0), (1.0, 2.0)]) == [(0.0, 0.0), (0.0, 0.0)]


def test_the_last_front_is_thinned_by_niches() -> None:
    """Many crowd in one corner of a straight front: one of them for its direction, then the others' directions."""
    crowd = [(0.01 * i, 1 - 0.01 * i) for i in range(10)]
    rest = [(0.5, 0.5), (1.0, 0.0), (0.25, 0.75), (0.75, 0.25)]
    kept = niches.chosen([*crowd, *rest], [list(range(14))], 5, most=5, rng=random.Random(1))
    assert set(kept) >= {10, 11, 12, 13}
    assert len(set(kept)) == 5
    assert niches.chosen(rest, [[0, 1], [2, 3]], 4, most=4, rng=random.Random(1)) == [0, 1, 2, 3]


def test_crossover_keeps_the_middle_and_spreads_like_the_parents() -> None:
    rng = random.Random(2)
    pairs = [simulated_binary(0.4, 0.6, rng.random(), spread=15.0) for _ in range(4000)]
    assert statistics.fmean((a + b) / 2 for a, b in pairs) == pytest.approx(0.5, abs=0.002)
    assert statistics.fmean(abs(a - b) for a, b in pairs) == pytest.approx(0.2, rel=0.03)
    edge = [simulated_binary(0.0, 1.0, rng.random(), spread=2.0) for _ in range(200)]
    assert all(0 <= each <= 1 for pair in edge for each in pair)


def test_polynomial_mutation_stays_inside_and_moves_both_ways() -> None:
    shares = np.linspace(0.001, 0.999, 999)
    for at in (0.0, 0.02, 0.5, 1.0):
        moved = [polynomial(at, float(share), spread=20.0) for share in shares]
        assert all(0 <= each <= 1 for each in moved)
        assert all(a <= b + 1e-12 for a, b in itertools.pairwise(moved))
    assert polynomial(0.5, 0.5, spread=20.0) == pytest.approx(0.5)


def test_a_mutated_finite_value_is_another_one() -> None:
    space = a_problem([an_int("few", 0, 2), a_choice("kind", "a", "b", "c"), an_int("one", 3, 3)]).space
    rng = random.Random(1)
    few, kind, one = (axis.values for axis in space.axes)
    for key in range(3):
        assert {mutated(few, key, rng) for _ in range(40)} <= {0, 1, 2} - {key}
        assert {mutated(kind, key, rng) for _ in range(40)} == {0, 1, 2} - {key}
    assert mutated(one, 0, rng) == 0


def test_a_child_has_exactly_the_parameters_that_its_values_make_active() -> None:
    space = a_problem(CONDITIONAL).space
    rng = random.Random(3)
    points = [space.build(lambda axis: axis.values.from_unit(rng.random())) for _ in range(12)]
    bred = [Member(n, dict(space.key(point) or ()), (0.0,), 0.0) for n, point in enumerate(points)]
    for one in bred:
        for other in (*bred, None):
            assert space.problems(child(space, one, other, mutation=0.5, rng=rng)) == ()


def test_without_mutation_choices_come_from_a_parent() -> None:
    space = a_problem(MIXED).space
    points = [space.build(lambda axis, u=u: axis.values.from_unit(u)) for u in (0.1, 0.9)]
    one, other = (Member(n, dict(space.key(point) or ()), (0.0,), 0.0) for n, point in enumerate(points))
    made = [child(space, one, other, mutation=0.0, rng=random.Random(seed)) for seed in range(20)]
    assert {each["activation"] for each in made} == {points[0]["activation"], points[1]["activation"]}
    assert all(points[0]["lr"] * 0.1 <= each["lr"] <= points[1]["lr"] * 10 for each in made)  # type: ignore[operator]


def test_a_generation_is_whole_by_its_results_and_stragglers_join_it() -> None:
    task = a_problem([a_float("x", 0, 1), a_float("y", 0, 1)], algorithm="NSGAII", settings={"nsga": {"population": 4}})
    history = [Observation(n, {"x": n / 20, "y": 0.5}, (1.0 - n / 20,), generation=n // 4) for n in range(10)]

    def growing(told: Sequence[Observation]) -> int | None:
        made = suggest(task, history=told, running={}, number=50)
        assert isinstance(made, Suggestion)
        return made.generation

    assert [growing(history[:count]) for count in (0, 3, 4, 7, 8, 10)] == [0, 0, 1, 1, 2, 2]
    straggler = Observation(30, {"x": 0.9, "y": 0.9}, (0.0,), generation=0)
    assert growing([*history, straggler]) == 2
    generation, parents = nsga.population(_ask(task, [*history, straggler]), 4)
    assert (generation, parents[0].number) == (2, 30)
    enqueued = [Observation(n, {"x": 0.1 * n, "y": 0.0}, (1.0,)) for n in range(4)]
    assert growing(enqueued) == 1, "trials of another origin are of the first generation"


def _ask(task: Problem, history: Sequence[Observation]) -> Ask:
    known = Known(task.space)
    known.learn(history)
    return Ask(task, known, known.seen({}), {}, 50)


def test_evolution_breeds_the_latest_only_and_changes_one_parameter() -> None:
    space = [a_float("x", 0, 1), a_float("y", 0, 1), a_choice("z", "a", "b", "c")]
    task = a_problem(space, algorithm="Evolution", settings={"evolution": {"population": 5, "sample": 5}})
    rng = random.Random(1)
    history = [
        Observation(n, {"x": rng.random(), "y": rng.random(), "z": "a"}, (0.0 if n == 0 else 10.0 - n,))
        for n in range(9)
    ]
    for number in range(9, 30):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        assert made.parent == 8, "the best of the latest five, not the best of all"
        changed = [name for name, value in made.parameters.items() if value != history[8].parameters[name]]
        assert len(changed) == 1


def a_run(algorithm: str, trials: int, *, seed: int, settings: dict[str, object]) -> list[tuple[float, ...]]:
    """ZDT1 with ten parameters."""
    space = [a_float(f"x{index}", 0, 1) for index in range(10)]
    task = a_problem(space, algorithm=algorithm, seed=seed, goals=("Minimize", "Maximize"), settings=settings)
    known, history = Known(task.space), list[Observation]()
    for number in range(trials):
        made = suggest(task, history=history, running={}, number=number, known=known)
        assert isinstance(made, Suggestion)
        x = [float(made.parameters[f"x{index}"]) for index in range(10)]
        g = 1 + math.fsum(x[1:])
        values = (x[0], -g * (1 - math.sqrt(x[0] / g)))
        history.append(Observation(number, made.parameters, values, generation=made.generation))
    return [(each.values[0], -each.values[1]) for each in history if each.values]


@pytest.mark.parametrize("algorithm", ["NSGAII", "NSGAIII"])
def test_a_front_is_approached(algorithm: str) -> None:
    small = {"nsga": {"population": 20}}
    bred = a_run(algorithm, 300, seed=3, settings=small)
    drawn = a_run("QuasiRandom", 300, seed=3, settings={})

    def gap(values: list[tuple[float, ...]]) -> float:
        return min(b - (1 - math.sqrt(a)) for a, b in values)

    assert gap(bred[-60:]) < 0.5 * gap(drawn)
    assert max(a for a, _ in bred[-60:]) - min(a for a, _ in bred[-60:]) > 0.3, "and stay spread along it"
