"""Points of a space as numbers that a kernel can compare, and back.

A row holds each axis' place in [0, 1] (`Dimension.unit`), of inactive axes too, which do not count. For the kernel each
axis is a group of features with one length scale: an ordered axis its place, a choice one-hot, so that any two values
lie the same distance apart. An inactive axis stands at the middle of the range, one step aside: so far from every
active value, and at no distance from another inactive one. All of it are coordinates, so any kernel of their distance
is a valid one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tuning_operator.search.space import Axis, PointKey, Space

Array = NDArray[np.float64]

LISTED = 4096
"""Finite values of one axis up to which each is a place of its own; beyond it they are modelled as a continuum."""


@dataclass(frozen=True)
class Encoding:
    space: Space

    @property
    def width(self) -> int:
        return len(self.space.axes)

    @cached_property
    def free(self) -> list[int]:
        """Axes that have more than one value."""
        return [index for index, axis in enumerate(self.space.axes) if axis.values.count != 1]

    @cached_property
    def places(self) -> list[Array | None]:
        """Of each axis the places of its values, where they are few."""
        return [_places(axis) for axis in self.space.axes]

    @cached_property
    def groups(self) -> NDArray[np.intp]:
        """Of each feature the number of its group: the position of its axis in `free`."""
        return np.array([group for group, axis in enumerate(self.free) for _ in range(self._features(axis))], np.intp)

    def _row(self, key: PointKey) -> Array:
        row = np.full(self.width, 0.5)
        for index, value in key:
            row[index] = self.space.axes[index].values.unit(value)
        return row

    def snapped(self, rows: Array) -> Array:
        """The nearest points of the space. What lies beyond an end comes back from it, so that points that want there
        do not all become the end itself.
        """
        rows = 1.0 - np.abs(1.0 - np.abs(rows) % 2.0)
        for index, places in enumerate(self.places):
            if places is not None:
                rows[:, index] = places[self._cells(rows[:, index], places)]
        return rows

    def active(self, rows: Array) -> NDArray[np.bool_]:
        """Which axes exist at these points."""
        active = np.ones(rows.shape, np.bool_)
        for index, axis in enumerate(self.space.axes):
            for requirement in axis.when:
                parent, values = requirement.parent, self.space.axes[requirement.parent].values
                places = self.places[parent]
                if places is None:
                    met = np.array([requirement.met(values.from_unit(float(unit))) for unit in rows[:, parent]])
                else:
                    table = np.array([requirement.met(key) for key in range(len(places))])
                    met = table[self._cells(rows[:, parent], places)]
                active[:, index] &= active[:, parent] & met
        return active

    def features(self, rows: Array) -> Array:
        active = self.active(rows)
        columns: list[Array] = []
        for index in self.free:
            axis, on = self.space.axes[index], active[:, index].astype(np.float64)
            places = self.places[index]
            if axis.values.ordered or places is None:
                columns.append((rows[:, index] - 0.5) * on)
                if axis.when:
                    columns.append((1 - on) * 0.5)
            else:
                hot = np.eye(len(places))[self._cells(rows[:, index], places)] * on[:, None]
                columns.extend(hot.T * np.sqrt(0.5))
                if axis.when:
                    columns.append((1 - on) * np.sqrt(0.5))
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))

    def key(self, row: Array) -> PointKey:
        """The point at this row; the inverse of `row`."""
        places = {axis.name: float(place) for axis, place in zip(self.space.axes, row, strict=True)}
        return self.space.build_key(lambda axis: axis.values.from_unit(places[axis.name]))

    def rows(self, keys: Sequence[PointKey]) -> Array:
        return np.array([self._row(key) for key in keys]).reshape(len(keys), self.width)

    def _features(self, index: int) -> int:
        axis = self.space.axes[index]
        places = self.places[index]
        many = 1 if axis.values.ordered or places is None else len(places)
        return many + bool(axis.when)

    @staticmethod
    def _cells(column: Array, places: Array) -> NDArray[np.intp]:
        return np.searchsorted((places[1:] + places[:-1]) / 2, column)


def _places(axis: Axis) -> Array | None:
    count = axis.values.count
    if count is None or count > LISTED:
        return None
    return np.array([axis.values.unit(key) for key in range(count)])
