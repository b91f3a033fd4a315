"""The search space, compiled from the study's parameters: which parameters are active, with which values.

Conditional parameters (`when`) are put behind those they depend on. Everything the search does asks this module for
validity and activity, so that no algorithm has its own idea of them. It knows no algorithm and draws nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter
from tuning_operator.search.dimension import Dimension, Key, dimension
from tuning_operator.search.lattice import Lattice, Requirement, lattice
from tuning_operator.search.types import Parameters

PointKey = tuple[tuple[int, Key], ...]
"""What tells two points of a space apart: (axis, key of its value) of every active axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A named dimension and what must hold for it to be active."""

    name: str
    values: Dimension
    when: tuple[Requirement, ...]


@dataclass(frozen=True)
class Space:
    """Axes in an order in which every axis stands behind those it depends on, otherwise as written."""

    axes: tuple[Axis, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Axis]:
        return {axis.name: axis for axis in self.axes}

    @cached_property
    def infinite(self) -> tuple[str, ...]:
        """Names of the parameters that have no finite list of values."""
        return tuple(axis.name for axis in self.axes if axis.values.count is None)

    @cached_property
    def lattice(self) -> Lattice | None:
        """Its points by index; None if they are infinitely many, or too entangled to count."""
        return lattice([axis.values.count for axis in self.axes], [axis.when for axis in self.axes])

    @property
    def size(self) -> int | None:
        """How many different points there are; None for infinitely many."""
        return None if self.lattice is None else self.lattice.size

    def build(self, choose: Callable[[Axis], Key]) -> dict[str, JSONScalar]:
        """A point, parents first: `choose` is asked for each axis that the earlier choices made active."""
        keys: dict[int, Key] = {}
        for index, axis in enumerate(self.axes):
            if _holds(axis, keys):
                keys[index] = choose(axis)
        return {self.axes[index].name: self.axes[index].values.value(key) for index, key in keys.items()}

    def encode(self, parameters: Parameters) -> tuple[tuple[int, float], ...] | None:
        """Where the point lies in the unit cube: (axis, place in [0, 1]) of every active axis; None if it is none."""
        key = self.key(parameters)
        return None if key is None else self.units(key)

    def units(self, key: PointKey) -> tuple[tuple[int, float], ...]:
        """The same for a key."""
        return tuple((index, self.axes[index].values.unit(value)) for index, value in key)

    def decode(self, place: Callable[[Axis], float]) -> dict[str, JSONScalar]:
        """The point at these places of the unit cube: `place` is asked for each axis that is active."""
        return self.build(lambda axis: axis.values.from_unit(place(axis)))

    def allowed(self, parameters: Parameters) -> bool:
        """Whether the study does not forbid this point."""
        return True

    def active(self, parameters: Parameters) -> tuple[str, ...]:
        """Names of the parameters that exist at these values, parents first. Those without a value activate nothing."""
        return tuple(self.axes[index].name for index in self._active(parameters))

    def problems(self, parameters: Parameters) -> tuple[str, ...]:
        """Why these are not a point of the space, in sentences; empty if they are one."""
        found = [f"{name}: is no parameter of this study" for name in parameters if name not in self.by_name]
        active = set(self._active(parameters))
        for index, axis in enumerate(self.axes):
            if axis.name not in parameters:
                if index in active:
                    found.append(f"{axis.name}: is missing: give it {axis.values.describe()}")
            elif index not in active:
                found.append(f"{axis.name}: is not active here (its `when` does not hold): leave it out")
            elif axis.values.key(parameters[axis.name]) is None:
                found.append(f"{axis.name}: {parameters[axis.name]!r} is not {axis.values.describe()}")
        return tuple(found)

    def key(self, parameters: Parameters) -> PointKey | None:
        """Which point this is; None if it is none of this space."""
        keys: dict[int, Key] = {}
        for index, axis in enumerate(self.axes):
            if _holds(axis, keys):
                if axis.name not in parameters:
                    return None
                key = axis.values.key(parameters[axis.name])
                if key is None:
                    return None
                keys[index] = key
        return tuple(keys.items()) if len(keys) == len(parameters) else None

    def point(self, key: PointKey) -> dict[str, JSONScalar]:
        """The parameters of a point; the inverse of `key`, so `point(key(p))` brings values to their exact form."""
        return {self.axes[index].name: self.axes[index].values.value(value) for index, value in key}

    def _active(self, parameters: Parameters) -> list[int]:
        keys: dict[int, Key] = {}
        active = []
        for index, axis in enumerate(self.axes):
            if _holds(axis, keys):
                active.append(index)
                key = axis.values.key(parameters[axis.name]) if axis.name in parameters else None
                if key is not None:
                    keys[index] = key
        return active


def compile_space(parameters: Sequence[Parameter]) -> Space:
    """The space of these parameters, compiled once. Raises `ValueError` naming the parameter at fault."""
    # By their JSON: as values 1, 1.0 and True would be one cache entry.
    return _compile(_Parameters("\n".join(parameter.model_dump_json() for parameter in parameters), tuple(parameters)))


class _Parameters:
    """A cache key that is compared by text and carries the models along."""

    __slots__ = ("models", "text")

    def __init__(self, text: str, models: tuple[Parameter, ...]) -> None:
        self.text = text
        self.models = models

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parameters) and other.text == self.text


@lru_cache(maxsize=256)
def _compile(given: _Parameters) -> Space:
    ordered = _parents_first(given.models)
    dimensions = [dimension(parameter) for parameter in ordered]
    position = {parameter.name: index for index, parameter in enumerate(ordered)}
    axes = []
    for parameter, values in zip(ordered, dimensions, strict=True):
        when = []
        for condition in parameter.when:
            parent = position[condition.parameter]
            keys = {dimensions[parent].key(value) for value in (condition.values or ())}
            when.append(Requirement(parent, frozenset(key for key in keys if key is not None)))
        axes.append(Axis(parameter.name, values, tuple(when)))
    return Space(tuple(axes))


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


def _holds(axis: Axis, keys: Mapping[int, Key]) -> bool:
    return all(keys.get(requirement.parent) in requirement.keys for requirement in axis.when)
