import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from tests.unit.search.spaces import a_choice, a_float, an_int
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter
from tuning_operator.search.dimension import RealDimension, dimension


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        pytest.param(a_float("x", 0, 0.5, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], id="tenths do not drift"),
        pytest.param(a_float("x", 0.1, 0.95, step=0.3), [0.1, 0.4, 0.7], id="the last step stays below the maximum"),
        pytest.param(a_float("x", 1e-3, 3e-3, step=1e-3), [0.001, 0.002, 0.003], id="exponents"),
        pytest.param(a_float("x", -1, 1, step=1), [-1.0, 0.0, 1.0], id="whole steps of a float stay floats"),
        pytest.param(a_float("x", 2, 2), [2.0], id="a range of one value"),
        pytest.param(a_float("x", 0, 1e18, step=5e17), [0.0, 5e17, 1e18], id="very large"),
        pytest.param(an_int("x", 1, 8, step=3), [1, 4, 7], id="whole numbers with a step"),
        pytest.param(an_int("x", 3, 5, scale="Log"), [3, 4, 5], id="whole numbers on a log scale"),
        pytest.param(a_choice("x", 1, 1.0, True, "1"), [1, 1.0, True, "1"], id="choices keep their JSON type"),
    ],
)
def test_finite_values_are_what_a_person_would_write(parameter: Parameter, values: list[JSONScalar]) -> None:
    dim = dimension(parameter)
    assert dim.count == len(values)
    got = [dim.value(index) for index in range(len(values))]
    assert [(type(value), value) for value in got] == [(type(value), value) for value in values]
    assert [dim.key(value) for value in got] == list(range(len(values)))


@given(
    low=st.integers(-(10**6), 10**6), step=st.integers(1, 10**4), count=st.integers(2, 500), places=st.integers(0, 9)
)
def test_a_step_is_added_in_decimal(low: int, step: int, count: int, places: int) -> None:
    unit = Decimal(1).scaleb(-places)
    first, width = low * unit, step * unit
    dim = dimension(a_float("x", float(first), float(first + (count - 1) * width), step=float(width)))
    assert dim.count == count
    for index in {0, 1, count // 2, count - 1}:
        assert dim.value(index) == float(first + index * width)
        assert dim.key(dim.value(index)) == index


@pytest.mark.parametrize(
    ("parameter", "value", "taken_for"),
    [
        pytest.param(a_float("x", 0, 1), 1, 1.0, id="the API server writes 1.0 as 1"),
        pytest.param(a_float("x", 0, 1, step=0.25), 1, 1.0, id="also on a grid"),
        pytest.param(a_float("x", 0, 1, step=0.1), 0.1 + 0.2, 0.3, id="a float that drifted elsewhere"),
        pytest.param(an_int("x", 0, 9), 4.0, 4, id="a whole number written as a float"),
        pytest.param(a_choice("x", 0.5, 1.0), 1, 1.0, id="a choice that lost its point"),
        pytest.param(a_choice("x", 1.0, 1), 1, 1, id="but its own type first"),
    ],
)
def test_values_are_brought_to_their_exact_form(parameter: Parameter, value: JSONScalar, taken_for: JSONScalar) -> None:
    dim = dimension(parameter)
    key = dim.key(value)
    assert key is not None
    assert (type(dim.value(key)), dim.value(key)) == (type(taken_for), taken_for)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        pytest.param(a_float("x", 0, 1), 1.5, id="above"),
        pytest.param(a_float("x", 0, 1), math.nan, id="not a number"),
        pytest.param(a_float("x", 0, 1), True, id="a boolean is no number"),
        pytest.param(a_float("x", 0, 1), "0.5", id="a string is no number"),
        pytest.param(a_float("x", 0, 1, step=0.25), 0.3, id="between steps"),
        pytest.param(a_float("x", 0, 1, step=0.25), math.inf, id="infinite"),
        pytest.param(an_int("x", 0, 9, step=2), 3, id="between whole steps"),
        pytest.param(an_int("x", 0, 9), 3.5, id="not whole"),
        pytest.param(an_int("x", 0, 9), 10, id="beyond"),
        pytest.param(a_choice("x", 1, "a"), True, id="True is not 1"),
        pytest.param(a_choice("x", True), 1, id="1 is not True"),
        pytest.param(a_choice("x", "1"), 1, id="1 is not its text"),
    ],
)
def test_other_values_are_refused(parameter: Parameter, value: JSONScalar) -> None:
    assert dimension(parameter).key(value) is None


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        pytest.param(a_float("lr", 1, 0), "parameter lr: the range from 1.0 to 0.0 is empty", id="empty"),
        pytest.param(a_float("lr", 0, 1, scale="Log"), "parameter lr: scale Log with min 0.0", id="log of zero"),
        pytest.param(an_int("n", 0, 9, scale="Log"), "parameter n: scale Log with min 0", id="log of zero, whole"),
        pytest.param(Parameter(name="n"), "parameter n: has no values", id="nothing"),
    ],
)
def test_impossible_ranges_are_named(parameter: Parameter, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dimension(parameter)


def test_a_continuous_range_ends_at_its_ends() -> None:
    dim = dimension(a_float("x", 0.1, 0.3))
    assert isinstance(dim, RealDimension)
    assert (dim.key(0.1), dim.key(0.3), dim.value(0.30000000000000004)) == (0.1, 0.3, 0.3)


DIMENSIONS = [
    a_float("x", -3, 7),
    a_float("x", 1e-6, 10, scale="Log"),
    a_float("x", -1e18, 1e18),
    a_float("x", 0, 1, prior={"mean": 0.2, "deviation": 0.1}),
    a_float("x", 0, 1, prior={"mean": 0, "deviation": 1e9}),
    a_float("x", 1e-5, 1, scale="Log", prior={"mean": 1e-3, "deviation": 1.5}),
    a_float("x", 0, 1, step=0.1),
    an_int("x", 1, 4096, scale="Log"),
    an_int("x", 3, 5, scale="Log"),
    an_int("x", -7, 7, step=3),
    a_choice("x", "a", 1, True),
    Parameter(name="x", ordinal=["small", "medium", "large"]),
]


@pytest.mark.parametrize("parameter", DIMENSIONS, ids=lambda p: p.model_dump_json(exclude_defaults=True))
@given(unit=st.floats(0, 1))
def test_the_unit_interval_there_and_back(parameter: Parameter, unit: float) -> None:
    dim = dimension(parameter)
    key = dim.from_unit(unit)
    assert dim.key(dim.value(key)) == key
    place = dim.unit(key)
    assert 0 <= place <= 1
    if dim.count is None:
        assert place == pytest.approx(unit, abs=1e-9)
    else:
        assert dim.from_unit(place) == key


@pytest.mark.parametrize("parameter", DIMENSIONS, ids=lambda p: p.model_dump_json(exclude_defaults=True))
@given(units=st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_unit_interval_keeps_the_order(parameter: Parameter, units: list[float]) -> None:
    dim = dimension(parameter)
    low, high = sorted(units)
    assert dim.from_unit(low) <= dim.from_unit(high)


@pytest.mark.parametrize("parameter", DIMENSIONS, ids=lambda p: p.model_dump_json(exclude_defaults=True))
def test_the_ends_of_the_unit_interval_are_the_ends_of_the_range(parameter: Parameter) -> None:
    dim = dimension(parameter)
    if isinstance(dim, RealDimension):
        assert (dim.from_unit(0), dim.from_unit(1)) == pytest.approx((dim.low, dim.high))
    else:
        assert (dim.from_unit(0), dim.from_unit(1)) == (0, dim.count - 1)


@pytest.mark.parametrize(
    ("parameter", "mean", "deviation", "ends"),
    [
        pytest.param(DIMENSIONS[3], 0.2, 0.1, (0.0, 1.0), id="normal, cut at two deviations"),
        pytest.param(DIMENSIONS[5], math.log(1e-3), 1.5, (math.log(1e-5), 0.0), id="log-normal"),
    ],
)
def test_priors_are_the_truncated_normal_of_scipy(
    parameter: Parameter, mean: float, deviation: float, ends: tuple[float, float]
) -> None:
    low, high = ((end - mean) / deviation for end in ends)
    reference = truncnorm(low, high, loc=mean, scale=deviation)
    dim = dimension(parameter)
    assert isinstance(dim, RealDimension)
    for share in (0.001, 0.1, 0.25, 0.5, 0.9, 0.999):
        wanted = float(reference.ppf(share))
        assert dim.from_unit(share) == pytest.approx(math.exp(wanted) if dim.log else wanted, rel=1e-6)


def test_a_prior_much_wider_than_the_range_is_even() -> None:
    dim = dimension(DIMENSIONS[4])
    assert [dim.from_unit(share) for share in (0.25, 0.5)] == pytest.approx([0.25, 0.5], rel=1e-9)
