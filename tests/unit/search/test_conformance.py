"""What every algorithm must do on every space. One that is in the registry is tested here, and must pass unchanged."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.search.spaces import (
    FINITE,
    SPACES,
    a_choice,
    a_float,
    a_study,
    an_int,
    identity,
    loss,
    when,
)
from tuning_operator.api.algorithm import CMAESSettings, EvolutionSettings, NSGASettings
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.search import registry
from tuning_operator.search.known import Known
from tuning_operator.search.seeds import draw
from tuning_operator.search.suggest import Problem, problem, suggest
from tuning_operator.search.types import Exhausted, Observation, Parameters, Suggestion

ALGORITHMS = [*(name.value for name in registry.ALGORITHMS), "Auto"]
ONE_OBJECTIVE = {"CMAES", "Evolution"}
ROOT = Path(__file__).parents[3]

CASES = [
    pytest.param(algorithm, space, id=f"{algorithm} on {space}")
    for algorithm in ALGORITHMS
    for space in SPACES
    if algorithm != "Grid" or space in FINITE
]
FINITE_CASES = [
    pytest.param(algorithm, space, id=f"{algorithm} on {space}") for algorithm in ALGORITHMS for space in FINITE
]


def problem_of(algorithm: str, space: str | list[Parameter], *, uid: str = "uid-1", **more: object) -> Problem:
    parameters = SPACES[space] if isinstance(space, str) else space
    return problem(_with_small_populations(a_study(parameters, algorithm=algorithm, **more)), study_uid=uid)  # type: ignore[arg-type]


def _with_small_populations(spec: StudySpec) -> StudySpec:
    """So that a few trials are several generations."""
    small = {
        "nsga": NSGASettings(population=6),
        "cmaes": CMAESSettings(population=4),
        "evolution": EvolutionSettings(population=6, sample=3),
    }
    return spec.model_copy(update={"algorithm": spec.algorithm.model_copy(update=small)})


def expect(result: Suggestion | Exhausted) -> Parameters:
    assert isinstance(result, Suggestion), result
    return result.parameters


def run(task: Problem, trials: int, *, history: Sequence[Observation] = ()) -> list[Observation]:
    """A sequential study: each trial's value is its loss."""
    done = list(history)
    for number in range(len(done), trials):
        result = suggest(task, history=done, running={}, number=number)
        if isinstance(result, Exhausted):
            break
        assert isinstance(result, Suggestion)
        values = (loss(result.parameters),)
        done.append(Observation(number, result.parameters, values, generation=result.generation))
    return done


def random_history(task: Problem, count: int, *, objectives: int = 1) -> list[Observation]:
    rng = random.Random(3)
    points = [task.space.build(lambda axis: draw(axis.values, rng)) for _ in range(count)]
    return [Observation(n, point, (loss(point),) * objectives) for n, point in enumerate(points)]


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_suggestions_are_exact_points_of_the_space(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    for observation in run(task, 30):
        assert task.space.problems(observation.parameters) == ()
        key = task.space.key(observation.parameters)
        assert key is not None
        assert identity(task.space.point(key)) == identity(observation.parameters)
        assert json.loads(json.dumps(observation.parameters)) == observation.parameters


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_the_same_inputs_give_the_same_suggestion(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    history = run(task, 14)
    running = {50: history[3].parameters}
    first = suggest(task, history=history, running=running, number=14)
    shuffled = random.Random(1).sample(history, len(history))
    reordered = [replace(o, parameters=dict(reversed(list(o.parameters.items())))) for o in shuffled]
    assert suggest(task, history=tuple(reordered), running=running, number=14) == first
    assert suggest(task, history=history, running=running, number=14) == first


SCRIPT = """
import json, sys
from tests.unit.search.test_conformance import problem_of, run
from tuning_operator.search.suggest import suggest
done = run(problem_of(sys.argv[1], sys.argv[2]), 13)
print(json.dumps([list(map(str, o.parameters.items())) for o in done]))
"""


RESTARTS = [
    ("TPE", "infinite conditional"),
    ("Random", "mixed"),
    ("Auto", "small"),
    ("NSGAII", "infinite conditional"),
    ("CMAES", "mixed"),
]


@pytest.mark.parametrize(("algorithm", "space"), RESTARTS)
def test_a_restart_with_another_hash_seed_continues_the_same(algorithm: str, space: str) -> None:
    here = [list(map(str, o.parameters.items())) for o in run(problem_of(algorithm, space), 13)]
    for seed in ("1", "77"):
        path = os.pathsep.join([str(ROOT / "operator"), str(ROOT / "trainer"), str(ROOT)])
        there = subprocess.run(
            [sys.executable, "-c", SCRIPT, algorithm, space],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(there.stdout) == here


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_a_restart_at_any_moment_changes_nothing(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    whole = run(task, 16)
    for stop in (0, 1, 9, 10, 11, len(whole) - 1):
        assert run(task, 16, history=whole[:stop]) == whole


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_what_is_kept_between_calls_changes_nothing(algorithm: str, space: str) -> None:
    """Also where results come out of order, four at once, and one of them is taken back."""
    task = problem_of(algorithm, space, parallel=4)
    known = Known(task.space)
    history: list[Observation] = []
    running: dict[int, Suggestion] = {}
    order = random.Random(5)
    for number in range(22):
        parameters = {other: made.parameters for other, made in running.items()}
        kept = suggest(task, history=tuple(history), running=parameters, number=number, known=known)
        assert kept == suggest(task, history=tuple(history), running=parameters, number=number)
        if isinstance(kept, Exhausted):
            break
        assert isinstance(kept, Suggestion)
        running[number] = kept
        if len(running) == 4:
            ended = order.choice(sorted(running))
            made = running.pop(ended)
            history.append(Observation(ended, made.parameters, (loss(made.parameters),), generation=made.generation))
        if number == 15:
            history.pop(3)


@pytest.mark.parametrize("what", ["seed", "study"])
@pytest.mark.parametrize("algorithm", ["Random", "TPE"])
def test_another_seed_or_study_gives_others(algorithm: str, what: str) -> None:
    task = problem_of(algorithm, "mixed")
    other = problem_of(algorithm, "mixed", seed=8) if what == "seed" else problem_of(algorithm, "mixed", uid="uid-2")
    for history in ([], random_history(task, 12)):
        a, b = (expect(suggest(each, history=history, running={}, number=12)) for each in (task, other))
        assert identity(a) != identity(b)


@pytest.mark.parametrize("known", [0, 12], ids=["empty history", "with a model"])
@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_thirty_two_asked_at_once_differ(algorithm: str, space: str, known: int) -> None:
    task = problem_of(algorithm, space, parallel=32)
    history = random_history(task, known)
    tried = {identity(o.parameters) for o in history}
    room = 32 if task.space.size is None else min(32, task.space.size - len(tried))
    running: dict[int, Parameters] = {}
    for number in range(known, known + room):
        running[number] = expect(suggest(task, history=history, running=running, number=number))
    assert len({identity(parameters) for parameters in running.values()}) == room
    assert not tried & {identity(parameters) for parameters in running.values()}
    for axis in task.space.axes:
        given = [parameters[axis.name] for parameters in running.values() if axis.name in parameters]
        if axis.values.count is None and len(given) >= 8:
            keys = sorted(float(value) for value in given)
            assert keys[0] < keys[len(keys) // 2] < keys[-1], f"{axis.name}: all in one place"


@pytest.mark.parametrize(("algorithm", "space"), FINITE_CASES)
def test_a_discrete_space_is_used_up_without_a_duplicate(algorithm: str, space: str) -> None:
    size = FINITE[space][1]
    task = problem_of(algorithm, space, trials=size - 1 if algorithm == "Auto" else 60)
    done = run(task, size + 5)
    assert len({identity(o.parameters) for o in done}) == len(done) == size
    end = suggest(task, history=done, running={}, number=size)
    assert end == Exhausted(f"all {size} points of the space were suggested")
    assert isinstance(
        suggest(task, history=done[:-1], running={size: done[-1].parameters}, number=size + 1), Exhausted
    ), "a running point counts"


@pytest.mark.parametrize(("algorithm", "space"), FINITE_CASES)
def test_a_point_that_nobody_reported_on_may_come_again(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    done = run(task, 60)
    left = suggest(task, history=done[1:], running={}, number=len(done))
    assert identity(expect(left)) == identity(done[0].parameters)


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_odd_histories_are_survived(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    good = random_history(task, 6)
    odd = [
        Observation(10, good[0].parameters, None),
        Observation(11, good[1].parameters, None, infeasible=True),
        Observation(12, good[2].parameters, (math.nan,)),
        Observation(13, good[3].parameters, (math.inf,)),
        Observation(14, {}, (1.0,)),
        Observation(15, {"unknown": 1}, (1.0,)),
        Observation(16, dict.fromkeys(good[4].parameters, "out of range"), (1.0,)),
        Observation(17, dict(list(good[5].parameters.items())[1:]), (2.0,)),
    ]
    for history in ([*good, *odd], odd, [*odd, *random_history(task, 6)]):
        result = suggest(task, history=history, running={30: {}, 31: {"unknown": 1}}, number=40)
        assert task.space.problems(expect(result)) == ()


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_only_infeasible_results_are_enough_to_go_on(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    history = [Observation(o.number, o.parameters, None, infeasible=True) for o in random_history(task, 12)]
    assert task.space.problems(expect(suggest(task, history=history, running={}, number=12))) == ()


@pytest.mark.parametrize(("algorithm", "space"), CASES)
@pytest.mark.parametrize("values", [(1.0,), None], ids=["one value", "no value"])
def test_results_that_say_nothing_are_enough_to_go_on(
    algorithm: str, space: str, values: tuple[float, ...] | None
) -> None:
    """A constant objective, and failures that are nobody's fault."""
    task = problem_of(algorithm, space)
    history = [replace(o, values=values) for o in random_history(task, 12)]
    for number in range(12, 15):
        point = expect(suggest(task, history=history, running={}, number=number))
        assert task.space.problems(point) == ()
        history.append(Observation(number, point, values))


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "CMAES"])
def test_a_space_of_one_point(algorithm: str) -> None:
    task = problem_of(algorithm, [a_choice("x", "only"), a_float("y", 2.5, 2.5)])
    point = expect(suggest(task, history=[], running={}, number=0))
    assert point == {"x": "only", "y": 2.5}
    assert isinstance(suggest(task, history=[Observation(0, point, (1.0,))], running={}, number=1), Exhausted)


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_broken_constraints_are_survived(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space)
    history = [replace(o, violation=float(o.number % 3) / 2) for o in random_history(task, 14)]
    history[5] = replace(history[5], violation=math.inf)
    assert task.space.problems(expect(suggest(task, history=history, running={}, number=14))) == ()


SEVERAL = [case for case in CASES if case.values[0] not in ONE_OBJECTIVE]


@pytest.mark.parametrize(("algorithm", "space"), SEVERAL)
def test_several_objectives(algorithm: str, space: str) -> None:
    task = problem_of(algorithm, space, goals=("Minimize", "Maximize"))
    history = random_history(task, 12, objectives=2)
    history[3] = Observation(3, history[3].parameters, None, infeasible=True)
    assert task.space.problems(expect(suggest(task, history=history, running={}, number=12))) == ()


BIG = 2**53
EXTREMES = {
    "every whole number": [an_int("x", -BIG, BIG)],
    "every whole number on a log scale": [an_int("x", 1, BIG, scale="Log")],
    "a step of seven": [an_int("x", -BIG, BIG, step=7)],
    "very fine steps": [a_float("x", 0, 1e6, step=1e-9)],
    "the widest range": [a_float("x", -1e18, 1e18)],
    "the widest log range": [a_float("x", 1e-300, 1e18, scale="Log")],
    "the smallest range": [a_float("x", 0, 5e-324)],
    "two neighbouring numbers": [a_float("x", 1.0, 1.0000000000000002, scale="Log")],
    "64 numbers": [a_float(f"x{index}", 0, 1) for index in range(64)],
    "64 choices": [a_choice(f"x{index}", *range(256)) for index in range(64)],
    "two on a log scale": [an_int("x", 1, 2, scale="Log"), a_float("y", 0, 1)],
    "one value": [a_choice("x", 1), a_float("y", 0, 1, when=[when("x", 1)])],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in ("Grid", "Auto")])
@pytest.mark.parametrize("parameters", EXTREMES.values(), ids=EXTREMES)
def test_extreme_spaces(parameters: list[Parameter], algorithm: str) -> None:
    searchable = [parameter for parameter in parameters if not parameter.choice]
    if algorithm == "CMAES" and not searchable:
        with pytest.raises(ValueError, match="all of these are choices"):
            problem_of(algorithm, parameters)
        return
    task = problem_of(algorithm, parameters, startup_trials=3)
    history: list[Observation] = []
    for number in range(8):
        point = expect(suggest(task, history=history, running={}, number=number))
        assert task.space.problems(point) == ()
        history.append(Observation(number, point, (float(number % 3),), generation=number // 6))


@pytest.mark.parametrize("algorithm", ["Random", "TPE"])
def test_a_suggestion_says_how_it_came_about(algorithm: str) -> None:
    task = problem_of(algorithm, "mixed")
    start = suggest(task, history=random_history(task, 4), running={}, number=4)
    model = suggest(task, history=random_history(task, 20), running={}, number=20)
    assert isinstance(start, Suggestion)
    assert isinstance(model, Suggestion)
    said = [(each.by, each.known, each.reason) for each in (start, model)]
    assert (
        said
        == {
            "Random": [("Random", 4, "random"), ("Random", 20, "random")],
            "TPE": [("Random", 4, "random start: 4 of 10 results known"), ("TPE", 20, "model of 20 results")],
        }[algorithm]
    )


def test_a_grid_is_walked_in_order_and_says_where_it_is() -> None:
    task = problem_of("Grid", "small")
    results = [suggest(task, history=[], running={}, number=number) for number in range(48)]
    assert [r.reason for r in results if isinstance(r, Suggestion)] == [f"grid point {n} of 48" for n in range(1, 49)]
    assert expect(results[0]) == {"a": 0, "b": 1, "c": 0.0}
    assert expect(results[1]) == {"a": 0, "b": 1, "c": 0.5}
    assert expect(results[47]) == {"a": 3, "b": "1", "c": 1.0}


def test_a_grid_that_others_began_is_only_completed() -> None:
    """The limit of trials was raised while the study ran, so that Auto now takes the grid."""
    before = problem(a_study(SPACES["small"], algorithm="Auto", trials=20), study_uid="u")
    after = problem(a_study(SPACES["small"], algorithm="Auto", trials=48), study_uid="u")
    done = run(after, 48, history=run(before, 20))
    assert len({identity(o.parameters) for o in done}) == 48
