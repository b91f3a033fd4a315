import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.spaces import (
    CONDITIONAL,
    CONDITIONAL_SIZE,
    FINITE,
    INFINITE_CONDITIONAL,
    MIXED,
    SPACES,
    a_choice,
    a_float,
    an_int,
    every_point,
    finite_spaces,
    identity,
    when,
)
from tuning_operator.api.parameters import Parameter
from tuning_operator.search.compiling import compile_space
from tuning_operator.search.dimension import dimension
from tuning_operator.search.seeds import draw


@given(finite_spaces())
@settings(max_examples=200, deadline=None)
def test_a_finite_space_has_every_combination_once(parameters: list[Parameter]) -> None:
    space = compile_space(parameters)
    dims = {parameter.name: dimension(parameter) for parameter in parameters}
    values = {name: [dim.value(index) for index in range(dim.count or 0)] for name, dim in dims.items()}
    expected = every_point(parameters, values)
    assert space.size == len(expected)
    assert space.lattice is not None
    seen = set()
    for index in range(len(expected)):
        keys = space.lattice.keys(index)
        point = space.point(tuple(keys.items()))
        assert space.lattice.index(keys) == index
        assert space.key(point) == tuple(keys.items())
        assert space.problems(point) == ()
        seen.add(identity(point))
    assert seen == expected


@given(st.sampled_from(sorted(SPACES)), st.integers())
def test_a_drawn_point_survives_its_key(name: str, seed: int) -> None:
    space = compile_space(SPACES[name])
    rng = random.Random(seed)
    point = space.build(lambda axis: draw(axis.values, rng))
    key = space.key(point)
    assert key is not None
    assert identity(space.point(key)) == identity(point)
    assert space.problems(point) == ()
    assert set(space.active(point)) == set(point)


@pytest.mark.parametrize("name", FINITE)
def test_size(name: str) -> None:
    parameters, size = FINITE[name]
    assert compile_space(parameters).size == size


def test_an_infinite_branch_makes_the_space_infinite() -> None:
    space = compile_space(INFINITE_CONDITIONAL)
    assert (space.size, space.infinite) == (None, ("lr",))


def test_a_branch_that_never_opens_does_not_count() -> None:
    space = compile_space([a_choice("a", 1, 2), a_float("x", 0, 1, when=[when("a", 3)])])
    assert space.size == 2


def test_parents_come_first_otherwise_as_written() -> None:
    names = [axis.name for axis in compile_space(CONDITIONAL).axes]
    assert names == ["optimizer", "decay", "momentum", "nesterov", "warmup"]


@pytest.mark.parametrize(
    ("point", "active"),
    [
        pytest.param({"optimizer": "lion"}, ["optimizer"], id="nothing depends on it"),
        pytest.param(
            {"optimizer": "sgd", "momentum": 0.1}, ["optimizer", "decay", "momentum"], id="a value that opens nothing"
        ),
        pytest.param(
            {"optimizer": "sgd", "momentum": 0.9}, ["optimizer", "decay", "momentum", "nesterov"], id="nested twice"
        ),
        pytest.param(
            {"optimizer": "adam", "momentum": 0.9}, ["optimizer", "decay"], id="an inactive parent opens nothing"
        ),
        pytest.param({"optimizer": "adam", "decay": True}, ["optimizer", "decay", "warmup"], id="both conditions hold"),
    ],
)
def test_active(point: dict[str, object], active: list[str]) -> None:
    assert list(compile_space(CONDITIONAL).active(point)) == active  # type: ignore[arg-type]


def test_problems_are_sentences() -> None:
    space = compile_space(CONDITIONAL)
    point = {"optimizer": "adam", "momentum": 0.1, "decay": 1, "extra": 3}
    assert space.problems(point) == (
        "extra: is no parameter of this study",
        "decay: 1 is not one of True, False",
        "momentum: is not active here (its `when` does not hold): leave it out",
    )
    assert space.problems({"optimizer": "lion"}) == ()
    assert space.problems({}) == ("optimizer: is missing: give it one of 'sgd', 'adam', 'lion'",)
    assert space.key(point) is None


def test_values_that_python_holds_equal_are_compiled_apart() -> None:
    assert compile_space([a_choice("a", 1)]) is compile_space([a_choice("a", 1)])
    values = [compile_space([a_choice("a", value)]).build(lambda axis: 0)["a"] for value in (1, 1.0, True)]
    assert [type(value) for value in values] == [int, float, bool]


def test_a_huge_grid_is_reached_by_index() -> None:
    parameters = [
        an_int(f"p{index}", 0, 999, when=[when(f"p{index - 1}", 5, 7)] if index else []) for index in range(64)
    ]
    space = compile_space(parameters)
    assert space.lattice is not None
    assert space.size == sum(998 * 2**depth for depth in range(64)) + 2**64
    for index in (0, space.size // 3, space.size - 1):
        assert space.lattice.index(space.lattice.keys(index)) == index


def test_independent_conditions_do_not_multiply_the_work() -> None:
    parents = [a_choice(f"p{index}", True, False) for index in range(31)]
    children = [an_int(f"c{index}", 1, 10, when=[when(f"p{index}", True)]) for index in range(31)]
    assert compile_space(parents + children).size == 11**31


def test_a_conjunction_of_many_is_counted() -> None:
    parents = [a_choice(f"p{index}", True, False) for index in range(8)]
    child = an_int("c", 1, 10, when=[when(f"p{index}", True) for index in range(8)])
    assert compile_space([*parents, child]).size == 255 + 10


def test_what_cannot_be_counted_counts_as_infinite() -> None:
    parents = [a_choice(f"p{index}", True, False) for index in range(24)]
    tangle = [
        an_int(f"c{index}", 1, 10, when=[when(f"p{index}", True), when(f"p{(index + 1) % 24}", True)])
        for index in range(24)
    ]
    assert compile_space([*parents, *tangle]).size is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param([a_choice("a", 1), a_choice("a", 2)], "parameter a: the name is used twice", id="twice"),
        pytest.param(
            [a_choice("a", 1, when=[when("b", 1)])], "parameter a: when: there is no parameter 'b'", id="unknown"
        ),
        pytest.param(
            [a_choice("a", 1, when=[when("b", 1)]), a_choice("b", 1, when=[when("a", 1)])],
            "parameters a, b: when: each waits for another",
            id="a circle",
        ),
    ],
)
def test_impossible_conditions_are_named(parameters: list[Parameter], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_space(parameters)


def test_the_conditional_space_is_the_size_it_says() -> None:
    dims = {parameter.name: dimension(parameter) for parameter in CONDITIONAL}
    values = {name: [dim.value(index) for index in range(dim.count or 0)] for name, dim in dims.items()}
    assert len(every_point(CONDITIONAL, values)) == CONDITIONAL_SIZE
    assert compile_space(MIXED).size is None
