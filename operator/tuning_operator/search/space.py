"""The search space, compiled from the study: which parameters are active, with which values, and what is forbidden.

Conditional parameters (`when`) are put behind those they depend on; derived ones (`expression`) are no axes: they
follow from a point, and are part of the parameters but never of its key. Everything the search does asks this module
for validity and activity, so that no algorithm has its own idea of them. It knows no algorithm and draws nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.expressions import Compiled, NotComputableError
from tuning_operator.search.dimension import Dimension, Key
from tuning_operator.search.lattice import Lattice, Requirement, lattice
from tuning_operator.search.types import Parameters

PointKey = tuple[tuple[int, Key], ...]
"""What tells two points of a space apart: (axis, key of its value) of every active axis."""

COUNTED = 2_000
"""Points up to which it is counted how many are not forbidden: 0.1 s, on whichever thread asks first."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A named dimension and what must hold for it to be active."""

    name: str
    values: Dimension
    when: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """A parameter that follows from others."""

    name: str
    expression: Compiled
    when: tuple[Requirement, ...]


@dataclass(frozen=True)
class Space:
    """Axes in an order in which every axis stands behind those it depends on, otherwise as written."""

    axes: tuple[Axis, ...]
    derived: tuple[Derived, ...] = ()
    """In an order in which each stands behind those it is made of."""
    forbidden: tuple[Compiled, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Axis]:
        return {axis.name: axis for axis in self.axes}

    @cached_property
    def infinite(self) -> tuple[str, ...]:
        """Names of the parameters that have no finite list of values."""
        return tuple(axis.name for axis in self.axes if axis.values.count is None)

    @cached_property
    def lattice(self) -> Lattice | None:
        """Its points by index, forbidden ones among them; None if infinitely many, or too entangled to count."""
        return lattice([axis.values.count for axis in self.axes], [axis.when for axis in self.axes])

    @property
    def restricted(self) -> bool:
        """Whether some points may not be allowed."""
        return bool(self.forbidden or self.derived)

    @cached_property
    def size(self) -> int | None:
        """How many different points are allowed; None for infinitely many, or where it takes too long to count."""
        if self.lattice is None or not self.restricted:
            return None if self.lattice is None else self.lattice.size
        return None if self.open_indices is None else len(self.open_indices)

    @cached_property
    def open_indices(self) -> tuple[int, ...] | None:
        """Indices of the allowed points in the lattice, where these can be counted."""
        if self.lattice is None or self.lattice.size > COUNTED:
            return None
        return tuple(index for index in range(self.lattice.size) if self.allowed_key(self.key_at(index)))

    def key_at(self, index: int) -> PointKey:
        """The point with this index in the lattice."""
        if self.lattice is None:
            raise ValueError("an infinite space has no indices")
        return tuple(self.lattice.keys(index).items())

    def build(self, choose: Callable[[Axis], Key]) -> dict[str, JSONScalar]:
        """A point, parents first: `choose` is asked for each axis that the earlier choices made active."""
        return self.point(self.build_key(choose))

    def build_key(self, choose: Callable[[Axis], Key]) -> PointKey:
        """The same as a key."""
        keys: dict[int, Key] = {}
        for index, axis in enumerate(self.axes):
            if _holds(axis.when, keys):
                keys[index] = choose(axis)
        return tuple(keys.items())

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
        if not self.restricted:
            return True
        key = self.key(parameters)
        return key is not None and self.allowed_key(key)

    def allowed_key(self, key: PointKey) -> bool:
        """The same for a key."""
        if not self.restricted:
            return True
        values = self._searched(key)
        if not self._derive(values, dict(key)):
            return False
        return not any(each.holds(values) for each in self.forbidden)

    def active(self, parameters: Parameters) -> tuple[str, ...]:
        """Names of the searched parameters that exist at these values, parents first. Those without a value activate
        nothing.
        """
        keys = self._keys(parameters)
        return tuple(axis.name for axis in self.axes if _holds(axis.when, keys))

    def problems(self, parameters: Parameters) -> tuple[str, ...]:
        """Why these are not a point of the space, in sentences; empty if they are one."""
        derived = {each.name for each in self.derived}
        found = [
            f"{name}: is no parameter of this study"
            for name in parameters
            if name not in self.by_name and name not in derived
        ]
        active = set(self.active(parameters))
        for axis in self.axes:
            if axis.name not in parameters:
                if axis.name in active:
                    found.append(f"{axis.name}: is missing: give it {axis.values.describe()}")
            elif axis.name not in active:
                found.append(f"{axis.name}: is not active here (its `when` does not hold): leave it out")
            elif axis.values.key(parameters[axis.name]) is None:
                found.append(f"{axis.name}: {parameters[axis.name]!r} is not {axis.values.describe()}")
        return tuple(found)

    def key(self, parameters: Parameters) -> PointKey | None:
        """Which point this is; None if it is none of this space. Derived parameters do not matter."""
        keys: dict[int, Key] = {}
        for index, axis in enumerate(self.axes):
            if _holds(axis.when, keys):
                if axis.name not in parameters:
                    return None
                key = axis.values.key(parameters[axis.name])
                if key is None:
                    return None
                keys[index] = key
        searched = len(parameters) - sum(each.name in parameters for each in self.derived)
        return tuple(keys.items()) if len(keys) == searched else None

    def point(self, key: PointKey) -> dict[str, JSONScalar]:
        """The parameters of a point, derived ones among them; so `point(key(p))` brings values to their exact form."""
        values = self._searched(key)
        if self.derived:
            self._derive(values, dict(key))
        return values

    def _searched(self, key: PointKey) -> dict[str, JSONScalar]:
        return {self.axes[index].name: self.axes[index].values.value(value) for index, value in key}

    def _derive(self, values: dict[str, JSONScalar], keys: Mapping[int, Key]) -> bool:
        """Add the derived parameters that are active; False if one of these has no value here."""
        computed = True
        for each in self.derived:
            if _holds(each.when, keys):
                try:
                    value = each.expression.value(values)
                except NotComputableError:
                    computed = False
                    continue
                if value is not None:
                    values[each.name] = value
        return computed

    def _keys(self, parameters: Parameters) -> dict[int, Key]:
        """Keys of the values that are given and active."""
        keys: dict[int, Key] = {}
        for index, axis in enumerate(self.axes):
            if axis.name in parameters and _holds(axis.when, keys):
                key = axis.values.key(parameters[axis.name])
                if key is not None:
                    keys[index] = key
        return keys


def _holds(when: tuple[Requirement, ...], keys: Mapping[int, Key]) -> bool:
    return all(requirement.met(keys.get(requirement.parent)) for requirement in when)
