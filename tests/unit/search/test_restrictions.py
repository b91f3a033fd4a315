"""What restricts and completes a space: ranges in `when`, expressions, forbidden combinations, first points."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.spaces import (
    a_choice,
    a_float,
    a_study,
    an_expression,
    an_int,
    an_ordinal,
    finite_spaces,
    identity,
    loss,
    when,
    within,
)
from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.scheduling import Fidelity, PBTSettings, Scheduler, SchedulerName
from tuning_operator.api.values import same
from tuning_operator.search import registry
from tuning_operator.search.compiling import compile_space
from tuning_operator.search.seeds import draw
from tuning_operator.search.suggest import Problem, problem, suggest
from tuning_operator.search.types import Exhausted, Observation, Suggestion

LAYERS = an_int("layers", 1, 4)
WIDTH = an_ordinal("width", 16, 64, 256)
LR = a_float("lr", 1e-4, 1, scale="Log")
OPTIMIZER = a_choice("optimizer", "sgd", "adam")


def a_problem(
    parameters: Sequence[Parameter],
    *,
    forbidden: Sequence[str] = (),
    enqueue: Sequence[dict[str, JSONScalar]] = (),
    algorithm: str = "Random",
    **more: Any,
) -> Problem:
    spec = a_study(list(parameters), algorithm=algorithm, **more)
    return problem(spec.model_copy(update={"forbidden": list(forbidden), "enqueue": list(enqueue)}), study_uid="u")


def trials(task: Problem, count: int) -> list[Suggestion | Exhausted]:
    """What is suggested one after another, up to the end of the space."""
    history: list[Observation] = []
    made: list[Suggestion | Exhausted] = []
    for number in range(count):
        answer = suggest(task, history=history, running={}, number=number)
        assert isinstance(answer, Suggestion | Exhausted)
        made.append(answer)
        if isinstance(answer, Exhausted):
            break
        history.append(Observation(number, answer.parameters, (loss(answer.parameters),)))
    return made


def points(task: Problem, count: int) -> list[dict[str, JSONScalar]]:
    return [dict(each.parameters) for each in trials(task, count) if isinstance(each, Suggestion)]


@pytest.mark.parametrize(
    ("parent", "condition", "active"),
    [
        pytest.param(LAYERS, within("layers", 2, 3), [2, 3], id="a range of whole numbers includes its ends"),
        pytest.param(LAYERS, within("layers", low=2.5), [3, 4], id="from between two values on"),
        pytest.param(a_float("p", 0, 1, step=0.1), within("p", 0.3, 0.6), [0.3, 0.4, 0.5, 0.6], id="steps are decimal"),
        pytest.param(WIDTH, within("width", high=64), [16, 64], id="numbers of an ordinal"),
        pytest.param(an_ordinal("p", 9, 1, 5), within("p", 4, 10), [9, 5], id="an ordinal need not rise"),
        pytest.param(LAYERS, within("layers", 7, 9), [], id="nowhere"),
    ],
)
def test_a_range_opens_its_values(parent: Parameter, condition: dict[str, Any], active: list[JSONScalar]) -> None:
    condition = {**condition, "parameter": parent.name}
    space = compile_space([parent, a_choice("child", "x", "y", when=[condition])])
    lattice = space.lattice
    assert lattice is not None
    found = [space.point(space.key_at(index)) for index in range(lattice.size)]
    assert list(dict.fromkeys(point[parent.name] for point in found if "child" in point)) == active
    assert len(found) == (space.by_name[parent.name].values.count or 0) + len(active)


def test_a_range_of_a_real_parent() -> None:
    space = compile_space([LR, a_choice("child", "x", "y", when=[within("lr", 0.01, 0.1)])])
    assert space.size is None
    for lr, there in ((0.00999, False), (0.01, True), (0.05, True), (0.1, True), (0.10001, False)):
        assert space.active({"lr": lr}) == (("lr", "child") if there else ("lr",))


EXPRESSIONS = [
    an_expression("total", "units + layers"),
    an_expression("units", "layers * width"),
    LAYERS,
    a_choice("width", 16, 64),
    an_expression("deep", "layers > 2", when=[when("width", 64)]),
    a_choice("extra", 1, 2, when=[within("layers", low=3)]),
    an_expression("more", "extra * 10"),
]


def test_expressions_follow_from_the_point() -> None:
    space = compile_space(EXPRESSIONS)
    assert space.size == 2 * 2 + 2 * 2 * 2
    point = space.build(lambda axis: (axis.values.count or 1) - 1)
    assert point == {
        "layers": 4, "width": 64, "extra": 2, "units": 256, "total": 260, "deep": True, "more": 20,
    }  # fmt: skip
    assert space.key(point) == space.key({"layers": 4, "width": 64, "extra": 2})
    assert space.problems(point) == ()
    assert space.encode(point) == ((0, 0.875), (1, 0.75), (2, 0.75))


def test_an_expression_of_what_is_not_active_is_not_there() -> None:
    space = compile_space(EXPRESSIONS)
    assert space.build(lambda axis: 0) == {"layers": 1, "width": 16, "units": 16, "total": 17}


def test_a_point_whose_expression_has_no_value_is_not_allowed() -> None:
    space = compile_space([LAYERS, an_expression("share", "100 / (layers - 2)")])
    assert [space.allowed({"layers": layers}) for layers in (1, 2, 3, 4)] == [True, False, True, True]
    assert space.size == 3


@pytest.mark.parametrize(
    ("forbidden", "allowed"),
    [
        pytest.param(["layers * width > 256"], lambda p: p["layers"] * p["width"] <= 256, id="a product"),
        pytest.param(["layers == 1", "layers == 4"], lambda p: p["layers"] in (2, 3), id="any of several"),
        pytest.param(["layers > 2 && width < 64"], lambda p: p["layers"] <= 2 or p["width"] >= 64, id="both of two"),
        pytest.param(["momentum > 0.5"], lambda p: p.get("momentum", 0) <= 0.5, id="only where it is active"),
        pytest.param(['!("momentum" in p)'], lambda p: "momentum" in p, id="presence"),
        pytest.param(["0.5 * layers + width / 64 > 5"], lambda p: p["layers"] / 2 + p["width"] / 64 <= 5, id="linear"),
    ],
)  # fmt: skip
def test_forbidden_points_are_those_of_the_expression(forbidden: list[str], allowed: Any) -> None:
    momentum = a_float("momentum", 0, 0.9, step=0.3, when=[when("optimizer", "sgd")])
    parameters = [LAYERS, WIDTH, OPTIMIZER, momentum]
    free, space = compile_space(parameters), compile_space(parameters, forbidden=forbidden)
    every = [free.point(free.key_at(index)) for index in range(free.size or 0)]
    wanted = [identity(point) for point in every if allowed(point)]
    assert 0 < len(wanted) < len(every)
    assert [identity(point) for point in every if space.allowed(point)] == wanted
    assert space.size == len(wanted)


SEARCHES = sorted({*registry.ALGORITHMS} - {AlgorithmName.GRID})


@pytest.mark.parametrize("algorithm", sorted(registry.ALGORITHMS))
def test_every_allowed_point_once_then_the_end(algorithm: str) -> None:
    task = a_problem([LAYERS, WIDTH, OPTIMIZER], forbidden=["layers * width > 128"], algorithm=algorithm)
    made = trials(task, 30)
    assert isinstance(made[-1], Exhausted)
    assert "all 12 points" in made[-1].reason
    seen = [identity(each.parameters) for each in made if isinstance(each, Suggestion)]
    assert len(seen) == len(set(seen)) == 12


@pytest.mark.parametrize("algorithm", SEARCHES)
def test_a_forbidden_point_is_never_suggested(algorithm: str) -> None:
    decay = a_float("decay", 0, 1, prior={"mean": 0.2, "deviation": 0.3})
    forbidden = ["lr > 0.001 * layers", "decay > 0.3 && width > 16"]
    task = a_problem([LR, decay, LAYERS, WIDTH], forbidden=forbidden, algorithm=algorithm)
    made = points(task, 40)
    assert len(made) == 40
    assert all(p["lr"] <= 0.001 * p["layers"] for p in made)  # type: ignore[operator]
    assert all(p["width"] == 16 or 0 <= p["decay"] <= 0.3 for p in made)  # type: ignore[operator]


@given(finite_spaces(), st.integers(0, 3), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_random_spaces_with_a_forbidden_value(parameters: list[Parameter], at: int, seed: int) -> None:
    free = compile_space(parameters)
    name = parameters[at % len(parameters)].name
    rng = random.Random(seed)
    value = free.by_name[name].values.value(draw(free.by_name[name].values, rng))
    text = f"{name} == {value!r}".replace("True", "true").replace("False", "false")
    every = [free.point(free.key_at(index)) for index in range(free.size or 0)]
    left = {identity(point) for point in every if name not in point or not same(point[name], value)}
    if not left:
        with pytest.raises(ValueError, match="leaves no point of the space"):
            a_problem(parameters, forbidden=[text])
        return
    made = points(a_problem(parameters, forbidden=[text], seed=seed), 20)
    assert {identity(point) for point in made} <= left
    assert len(made) == min(20, len(left))


def test_a_space_that_leaves_almost_nothing_says_so() -> None:
    with pytest.raises(ValueError, match=r"spec.forbidden: leaves no point of the space: loosen an expression"):
        a_problem([LR, a_float("decay", 0, 1)], forbidden=["lr + decay > -1.0"])
    barren = compile_space([LR, a_float("decay", 0, 1)], forbidden=["lr + decay > -1.0"])
    (answer,) = trials(replace(a_problem([LR]), space=barren), 5)
    assert answer == Exhausted("of 5000 random points not one is new and allowed; loosen `forbidden`")


def test_a_large_finite_space_is_searched_without_counting() -> None:
    parameters = [an_int("a", 1, 1000), an_int("b", 1, 1000)]
    task = a_problem(parameters, forbidden=["a + b > 100"], algorithm="Grid", trials=20)
    assert task.space.size is None
    assert all(p["a"] + p["b"] <= 100 for p in points(task, 20))  # type: ignore[operator]
    (first,) = points(a_problem(parameters, forbidden=["a < 500 || b < 500"], algorithm="Random"), 1)
    assert first["a"] >= 500 and first["b"] >= 500  # type: ignore[operator]


ENQUEUED: list[dict[str, JSONScalar]] = [{"lr": 0.01, "layers": 2, "optimizer": "sgd"}, {"layers": 3}, {}]


@pytest.mark.parametrize("algorithm", [*SEARCHES, "Auto"])
def test_first_points_come_first_and_are_completed(algorithm: str) -> None:
    task = a_problem([LR, LAYERS, OPTIMIZER], enqueue=ENQUEUED, algorithm=algorithm)
    made = [each for each in trials(task, 5) if isinstance(each, Suggestion)]
    assert [each.by == "Enqueued" for each in made] == [True, True, True, False, False]
    assert made[0].parameters == ENQUEUED[0]
    assert made[1].parameters["layers"] == 3
    assert [set(each.parameters) for each in made] == [{"lr", "layers", "optimizer"}] * 5
    assert [each.reason for each in made[:3]] == [
        "first point 1 of 3",
        "first point 2 of 3; drawn: lr, optimizer",
        "first point 3 of 3; drawn: lr, layers, optimizer",
    ]
    assert made == [each for each in trials(task, 5) if isinstance(each, Suggestion)]


def test_a_grid_leaves_out_its_first_points() -> None:
    task = a_problem([LAYERS, OPTIMIZER], enqueue=[{"layers": 4, "optimizer": "adam"}], algorithm="Grid")
    made = points(task, 20)
    assert made[0] == {"layers": 4, "optimizer": "adam"}
    assert len({identity(point) for point in made}) == len(made) == 8


def test_what_completes_a_first_point_is_allowed() -> None:
    task = a_problem([LR, LAYERS], enqueue=[{"layers": 3}] * 20, forbidden=["lr > 0.01 && layers == 3"])
    assert all(point["lr"] <= 0.01 for point in points(task, 20))  # type: ignore[operator]


def test_a_first_point_that_cannot_be_completed_is_drawn() -> None:
    task = a_problem([LR, LAYERS], enqueue=[{"layers": 3}], forbidden=["layers == 3"])
    (made,) = trials(task, 1)
    assert isinstance(made, Suggestion)
    assert made.parameters["layers"] != 3
    assert made.reason == "first point 1 of 1: forbidden whatever is drawn for the rest, so random"


def test_a_population_stays_where_it_is_allowed() -> None:
    task = a_problem([LR, LAYERS], forbidden=["lr > 0.001 * layers"], enqueue=[{"lr": 0.001, "layers": 4}])
    pbt = replace(
        task,
        scheduler=Scheduler(name=SchedulerName.PBT, pbt=PBTSettings(population=4, resample=0.5)),
        fidelity=Fidelity(min=1, max=5),
    )
    made = [each for each in trials(pbt, 20) if isinstance(each, Suggestion)]
    assert len(made) == 20
    assert [each.generation for each in made] == [number // 4 for number in range(20)]
    assert (made[0].by, made[0].parameters) == ("Enqueued", {"lr": 0.001, "layers": 4})
    assert all(each.parameters["lr"] <= 0.001 * each.parameters["layers"] for each in made)  # type: ignore[operator]


@given(finite_spaces(), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_a_point_of_any_space_survives_the_unit_cube(parameters: list[Parameter], seed: int) -> None:
    derived = [an_expression("derived", f'"{parameters[0].name}" in p ? 1 : 0')]
    space = compile_space([*parameters, *derived, a_float("real", 1e-3, 10, scale="Log")])
    rng = random.Random(seed)
    point = space.decode(lambda axis: rng.random())
    places = space.encode(point)
    assert places is not None
    named = {space.axes[index].name: place for index, place in places}
    again = space.decode(lambda axis: named[axis.name])
    assert identity({**again, "real": 0}) == identity({**point, "real": 0})
    assert again["real"] == pytest.approx(point["real"])
    assert point["derived"] == (1 if parameters[0].name in point else 0)
    assert all(0 <= place <= 1 for _, place in places)
