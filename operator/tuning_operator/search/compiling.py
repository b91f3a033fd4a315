"""From the study's parameters to a space, once for each study. Every mistake is a `ValueError` that names its place.

Most of these were said before by `api/semantics.py`, in better order; this is for callers who did not ask it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from tuning_operator.api.derived import derived_order, kinds_of
from tuning_operator.api.expressions import Compiled, ExpressionError, Kind, compile_expression
from tuning_operator.api.parameters import Condition, Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.search.dimension import Dimension, Ranges, dimension
from tuning_operator.search.lattice import Requirement
from tuning_operator.search.space import Axis, Derived, Space


def space_of(spec: StudySpec) -> Space:
    """The space of a study."""
    return compile_space(spec.parameters, forbidden=spec.forbidden)


def compile_space(parameters: Sequence[Parameter], *, forbidden: Sequence[str] = ()) -> Space:
    """The space of these parameters, compiled once. Raises `ValueError` naming the parameter at fault."""
    # By their JSON: as values 1, 1.0 and True would be one cache entry.
    text = "\n".join([*(parameter.model_dump_json() for parameter in parameters), *forbidden])
    return _compile(_Given(text, tuple(parameters), tuple(forbidden)))


class _Given:
    """A cache key that is compared by text and carries the models along."""

    __slots__ = ("forbidden", "parameters", "text")

    def __init__(self, text: str, parameters: tuple[Parameter, ...], forbidden: tuple[str, ...]) -> None:
        self.text = text
        self.parameters = parameters
        self.forbidden = forbidden

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and other.text == self.text


@lru_cache(maxsize=256)
def _compile(given: _Given) -> Space:
    searched = [parameter for parameter in given.parameters if parameter.expression is None]
    ordered = _parents_first(searched)
    dimensions = [dimension(parameter) for parameter in ordered]
    position = {parameter.name: index for index, parameter in enumerate(ordered)}

    def requirements(parameter: Parameter) -> tuple[Requirement, ...]:
        found = []
        for condition in parameter.when:
            if condition.parameter not in position:
                raise ValueError(
                    f"parameter {parameter.name}: when: {condition.parameter!r} is no parameter that is searched"
                )
            parent = position[condition.parameter]
            found.append(Requirement(parent, _ranges(dimensions[parent], condition)))
        return tuple(found)

    axes = [
        Axis(parameter.name, values, requirements(parameter))
        for parameter, values in zip(ordered, dimensions, strict=True)
    ]
    kinds = kinds_of(given.parameters)
    derived = [
        Derived(parameter.name, _expression(f"parameter {parameter.name}: expression", text, kinds), when)
        for parameter, text, when in _derived(given.parameters, requirements)
    ]
    forbidden = [_expression("forbidden", text, kinds) for text in given.forbidden]
    return Space(tuple(axes), tuple(derived), tuple(forbidden))


def _derived(
    parameters: Sequence[Parameter], requirements: Callable[[Parameter], tuple[Requirement, ...]]
) -> list[tuple[Parameter, str, tuple[Requirement, ...]]]:
    by_name = {parameter.name: parameter for parameter in parameters}
    try:
        names = derived_order(parameters)
    except ExpressionError as error:
        raise ValueError(str(error)) from error
    return [(by_name[name], by_name[name].expression or "", requirements(by_name[name])) for name in names]


def _expression(where: str, text: str, kinds: Mapping[str, Kind]) -> Compiled:
    try:
        return compile_expression(text, kinds)
    except ExpressionError as error:
        raise ValueError(f"{where}: {text}: {error}") from error


def _ranges(parent: Dimension, condition: Condition) -> Ranges:
    if condition.values is None:
        low = -math.inf if condition.min is None else condition.min
        return parent.between(low, math.inf if condition.max is None else condition.max)
    keys = {parent.key(value) for value in condition.values}
    return tuple((key, key) for key in sorted(key for key in keys if key is not None))


def _parents_first(parameters: Sequence[Parameter]) -> list[Parameter]:
    names = [parameter.name for parameter in parameters]
    for parameter in parameters:
        if names.count(parameter.name) > 1:
            raise ValueError(f"parameter {parameter.name}: the name is used twice: names must differ")
        for condition in parameter.when:
            if condition.parameter not in names:
                raise ValueError(f"parameter {parameter.name}: when: there is no parameter {condition.parameter!r}")
    ordered: list[Parameter] = []
    placed: set[str] = set()
    waiting = list(parameters)
    while waiting:
        ready = next((p for p in waiting if all(c.parameter in placed for c in p.when)), None)
        if ready is None:
            circle = ", ".join(parameter.name for parameter in waiting)
            raise ValueError(
                f"parameters {circle}: when: each waits for another: remove the one that closes the circle"
            )
        waiting.remove(ready)
        ordered.append(ready)
        placed.add(ready.name)
    return ordered
