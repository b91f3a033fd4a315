"""The points of a finite space by index, without listing them.

Mixed radix, generalised to conditions: an inactive axis does not multiply. Axes that no condition connects are
independent, so a point's index is made of one digit per connected group; within a group, the points behind each
prefix are counted once per set of conditions that still matter. The last axis runs fastest, as in nested loops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

from tuning_operator.search.dimension import Key

_MAX_STATES = 50_000
"""Sets of open conditions a group may have; beyond it the space counts as infinite."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """An axis is active only where the axis `parent` is active and its key lies in one of these ranges, both ends
    included.
    """

    parent: int
    ranges: tuple[tuple[Key, Key], ...]

    def met(self, key: Key | None) -> bool:
        return key is not None and any(low <= key <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class Lattice:
    groups: tuple["_Group", ...]

    @property
    def size(self) -> int:
        return reduce(lambda product, group: product * group.size, self.groups, 1)

    def keys(self, index: int) -> dict[int, int]:
        """The point with this index: for every active axis the index of its value."""
        keys: dict[int, int] = {}
        for group in reversed(self.groups):
            index, digit = divmod(index, group.size)
            keys.update(group.keys(digit))
        return dict(sorted(keys.items()))

    def index(self, keys: Mapping[int, Key]) -> int:
        """The inverse of `keys`."""
        index = 0
        for group in self.groups:
            index = index * group.size + group.index(keys)
        return index


def lattice(counts: Sequence[int | None], when: Sequence[tuple[Requirement, ...]]) -> Lattice | None:
    """The lattice of axes with so many values each; None if its points are infinitely many, or cannot be counted."""
    try:
        return Lattice(tuple(_Group.of(members, counts, when) for members in _connected(when)))
    except _UncountableError:
        return None


class _UncountableError(Exception):
    pass


_State = frozenset[tuple[int, int]]
"""Conditions (axis, position in its `when`) met so far by axes that are not dead, of axes still to come."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring values of an axis that meet the same conditions of later axes."""

    start: int
    stop: int
    meets: _State


@dataclass(frozen=True, slots=True)
class _Group:
    """Axes connected by conditions, parents first."""

    members: tuple[int, ...]
    required: Mapping[int, _State]
    runs: Mapping[int, tuple[_Run, ...] | None]
    passed: Mapping[int, Mapping[int, _State]]
    """For each axis and each axis that depends on it: its conditions that are decided at this axis."""
    counted: dict[tuple[int, _State], int] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls, members: tuple[int, ...], counts: Sequence[int | None], when: Sequence[tuple[Requirement, ...]]
    ) -> "_Group":
        required = {axis: frozenset((axis, place) for place in range(len(when[axis]))) for axis in members}
        children = {
            axis: [child for child in members if any(needs.parent == axis for needs in when[child])] for axis in members
        }
        passed = {
            axis: {
                child: frozenset((child, place) for place, needs in enumerate(when[child]) if needs.parent <= axis)
                for child in children[axis]
            }
            for axis in members
        }
        runs = {}
        for axis in members:
            asked = {
                (child, place): needs.ranges
                for child in children[axis]
                for place, needs in enumerate(when[child])
                if needs.parent == axis
            }
            runs[axis] = _runs(counts[axis], asked)
        group = cls(members, required, runs, passed)
        group.count(0, frozenset())
        return group

    @property
    def size(self) -> int:
        return self.count(0, frozenset())

    def count(self, position: int, met: _State) -> int:
        """How many points there are from this axis on."""
        if position == len(self.members):
            return 1
        known = self.counted.get((position, met))
        if known is None:
            if len(self.counted) >= _MAX_STATES:
                raise _UncountableError
            axis = self.members[position]
            if self.required[axis] <= met:
                known = sum(
                    (run.stop - run.start) * self.count(position + 1, self._after(axis, met, run))
                    for run in self._runs(axis)
                )
            else:
                known = self.count(position + 1, self._after(axis, met, None))
            self.counted[position, met] = known
        return known

    def keys(self, index: int) -> dict[int, int]:
        keys: dict[int, int] = {}
        met: _State = frozenset()
        for position, axis in enumerate(self.members):
            chosen = None
            if self.required[axis] <= met:
                for chosen in self._runs(axis):
                    each = self.count(position + 1, self._after(axis, met, chosen))
                    if index < (chosen.stop - chosen.start) * each:
                        offset, index = divmod(index, each)
                        keys[axis] = chosen.start + offset
                        break
                    index -= (chosen.stop - chosen.start) * each
            met = self._after(axis, met, chosen)
        return keys

    def index(self, keys: Mapping[int, Key]) -> int:
        index = 0
        met: _State = frozenset()
        for position, axis in enumerate(self.members):
            chosen = None
            if self.required[axis] <= met:
                for chosen in self._runs(axis):
                    each = self.count(position + 1, self._after(axis, met, chosen))
                    if keys[axis] < chosen.stop:
                        index += (int(keys[axis]) - chosen.start) * each
                        break
                    index += (chosen.stop - chosen.start) * each
            met = self._after(axis, met, chosen)
        return index

    def _runs(self, axis: int) -> tuple[_Run, ...]:
        runs = self.runs[axis]
        if runs is None:
            raise _UncountableError
        return runs

    def _after(self, axis: int, met: _State, run: _Run | None) -> _State:
        """What is met after this axis. Axes that cannot become active any more are forgotten: fewer states."""
        now = met | run.meets if run is not None else met
        dead = {child for child, decided in self.passed[axis].items() if not decided <= now}
        return frozenset(condition for condition in now if condition[0] not in dead and condition[0] != axis)


def _runs(count: int | None, asked: Mapping[tuple[int, int], tuple[tuple[Key, Key], ...]]) -> tuple[_Run, ...] | None:
    if count is None:
        return None
    ends = [(int(low), int(high)) for ranges in asked.values() for low, high in ranges]
    edges = sorted({0, count, *(low for low, _ in ends), *(high + 1 for _, high in ends)})
    runs: list[_Run] = []
    for start, stop in pairwise(edges):
        meets = frozenset(
            condition for condition, ranges in asked.items() if any(low <= start <= high for low, high in ranges)
        )
        if runs and runs[-1].meets == meets:
            runs[-1] = _Run(runs[-1].start, stop, meets)
        else:
            runs.append(_Run(start, stop, meets))
    return tuple(runs)


def _connected(when: Sequence[tuple[Requirement, ...]]) -> list[tuple[int, ...]]:
    """Axes in groups that no condition crosses, in order of their first axis."""
    group = list(range(len(when)))
    for axis, needs in enumerate(when):
        for requirement in needs:
            old, new = group[axis], group[requirement.parent]
            group = [new if name == old else name for name in group]
    members: dict[int, list[int]] = {}
    for axis, name in enumerate(group):
        members.setdefault(name, []).append(axis)
    return [tuple(axes) for axes in members.values()]
