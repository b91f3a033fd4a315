"""Spaces, studies and objective functions that the search is tested on."""

import math
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Condition, Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.search.suggest import Problem, problem
from tuning_operator.search.types import Parameters


def a_float(name: str, low: float, high: float, **more: Any) -> Parameter:
    when = more.pop("when", [])
    return Parameter.model_validate({"name": name, "float": {"min": low, "max": high, **more}, "when": when})


def an_int(name: str, low: int, high: int, **more: Any) -> Parameter:
    when = more.pop("when", [])
    return Parameter.model_validate({"name": name, "int": {"min": low, "max": high, **more}, "when": when})


def an_ordinal(name: str, *values: JSONScalar, when: list[dict[str, Any]] | None = None) -> Parameter:
    return Parameter.model_validate({"name": name, "ordinal": list(values), "when": when or []})


def an_expression(name: str, expression: str, when: list[dict[str, Any]] | None = None) -> Parameter:
    return Parameter.model_validate({"name": name, "expression": expression, "when": when or []})


def a_choice(name: str, *values: JSONScalar, when: list[dict[str, Any]] | None = None) -> Parameter:
    return Parameter.model_validate({"name": name, "choice": list(values), "when": when or []})


def when(parameter: str, *values: JSONScalar) -> dict[str, Any]:
    return {"parameter": parameter, "values": list(values)}


def within(parameter: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    ends = {"min": low, "max": high}
    return {"parameter": parameter, **{end: value for end, value in ends.items() if value is not None}}


MIXED = [
    a_float("lr", 1e-5, 1e-1, scale="Log"),
    a_float("dropout", 0, 0.5),
    a_float("momentum", 0.1, 0.9, step=0.1),
    an_int("layers", 1, 4),
    an_int("units", 16, 256, step=16),
    an_int("batch", 8, 4096, scale="Log"),
    a_choice("activation", "relu", "tanh", 1, 1.0, True, "1", False, 0),
    a_float("fixed", 2.5, 2.5),
]

CONDITIONAL = [
    a_choice("decay", True, False, when=[when("optimizer", "adam", "sgd")]),  # a child before its parent
    a_choice("optimizer", "sgd", "adam", "lion"),
    a_float("momentum", 0.1, 0.9, step=0.4, when=[when("optimizer", "sgd")]),
    a_choice("nesterov", True, False, when=[when("momentum", 0.5, 0.9)]),
    an_int("warmup", 1, 3, when=[when("optimizer", "adam"), when("decay", True)]),
]
"""sgd: 2 decay x (1 + 2 + 2 nesterov) = 10; adam: 3 + 1 = 4; lion: 1."""
CONDITIONAL_SIZE = 15

INFINITE_CONDITIONAL = [*CONDITIONAL, a_float("lr", 1e-4, 1.0, scale="Log", when=[when("optimizer", "sgd", "adam")])]

SMALL = [an_int("a", 0, 3), a_choice("b", 1, 1.0, True, "1"), a_float("c", 0, 1, step=0.5)]
SMALL_SIZE = 48

SPACES = {"mixed": MIXED, "conditional": CONDITIONAL, "infinite conditional": INFINITE_CONDITIONAL, "small": SMALL}
FINITE = {"conditional": (CONDITIONAL, CONDITIONAL_SIZE), "small": (SMALL, SMALL_SIZE)}


def a_study(
    parameters: list[Parameter],
    *,
    algorithm: str = "TPE",
    seed: int = 7,
    goals: tuple[str, ...] = ("Minimize",),
    trials: int | None = 60,
    parallel: int = 1,
    settings: dict[str, Any] | None = None,
    **tpe: Any,
) -> StudySpec:
    return StudySpec.model_validate(
        {
            "objectives": [{"metric": f"m{index}", "goal": goal} for index, goal in enumerate(goals)],
            "parameters": [p.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True) for p in parameters],
            "algorithm": {"name": algorithm, "seed": seed, **({"tpe": tpe} if tpe else {}), **(settings or {})},
            "limits": {"trials": trials, "parallel": parallel},
            "trial": {"trainer": {}},
        }
    )


def a_problem(parameters: list[Parameter], *, uid: str = "uid-1", **more: Any) -> Problem:
    return problem(a_study(parameters, **more), study_uid=uid)


def loss(parameters: Parameters) -> float:
    """Some number that depends on every parameter."""
    return math.fsum(_number(value) * (index + 1) for index, (_, value) in enumerate(sorted(parameters.items())))


def _number(value: JSONScalar) -> float:
    return len(value) * 0.37 if isinstance(value, str) else float(value)


def identity(parameters: Parameters) -> tuple[tuple[str, str, JSONScalar], ...]:
    """Tells 1, 1.0, True and "1" apart."""
    return tuple((name, type(value).__name__, value) for name, value in sorted(parameters.items()))


@st.composite
def finite_spaces(draw: st.DrawFn) -> list[Parameter]:
    """Up to five finite parameters with conditions among them, in any order."""
    made: list[tuple[Parameter, list[JSONScalar]]] = []
    for index in range(draw(st.integers(1, 5))):
        conditions = []
        parents = draw(st.lists(st.sampled_from(made), max_size=2, unique_by=lambda p: p[0].name)) if made else []
        for parent, values in parents:
            if parent.choice is None and draw(st.booleans()):
                low, high = sorted(draw(st.tuples(st.floats(-6, 6), st.floats(-6, 6))))
                conditions.append(within(parent.name, *draw(st.sampled_from([(low, high), (low, None), (None, high)]))))
                continue
            chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
            conditions.append(when(parent.name, *chosen))
        name = f"p{index}"
        match draw(st.sampled_from(["int", "float", "choice", "ordinal"])):
            case "int":
                low, count, step = draw(st.tuples(st.integers(-5, 5), st.integers(1, 4), st.integers(1, 3)))
                values = [low + step * k for k in range(count)]
                parameter = an_int(name, low, low + step * (count - 1), step=step, when=conditions)
            case "float":
                low, count = draw(st.tuples(st.integers(-5, 5), st.integers(2, 4)))
                values = [float(f"{low / 10 + 0.1 * k:.1f}") for k in range(count)]
                parameter = a_float(name, values[0], values[-1], step=0.1, when=conditions)
            case "ordinal":
                values = draw(st.lists(st.sampled_from([1, 3, 2.5, -4, 0]), min_size=1, max_size=4, unique=True))
                parameter = an_ordinal(name, *values, when=conditions)
            case _:
                pool: list[JSONScalar] = [1, 1.0, True, "1", 0, False, "", "x"]
                values = draw(
                    st.lists(st.sampled_from(pool), min_size=1, max_size=4, unique_by=lambda v: (str(type(v)), v))
                )
                parameter = a_choice(name, *values, when=conditions)
        made.append((parameter, values))
    parameters = [parameter for parameter, _ in made]
    return draw(st.permutations(parameters))


def every_point(parameters: list[Parameter], values: Mapping[str, list[JSONScalar]]) -> set[Any]:
    """All points by brute force, as `identity`: the definition of a conditional grid."""
    waiting = list(parameters)
    ordered: list[Parameter] = []
    while waiting:
        ready = next(p for p in waiting if all(c.parameter in [o.name for o in ordered] for c in p.when))
        waiting.remove(ready)
        ordered.append(ready)
    points: list[dict[str, JSONScalar]] = [{}]
    for parameter in ordered:
        grown = []
        for point in points:
            active = all(c.parameter in point and _met(c, point[c.parameter]) for c in parameter.when)
            grown += [{**point, parameter.name: value} for value in values[parameter.name]] if active else [point]
        points = grown
    return {identity(point) for point in points}


def _met(condition: Condition, value: JSONScalar) -> bool:
    if condition.values is not None:
        return any(type(each) is type(value) and each == value for each in condition.values)
    low = -math.inf if condition.min is None else condition.min
    high = math.inf if condition.max is None else condition.max
    return not isinstance(value, bool | str) and low <= value <= high
