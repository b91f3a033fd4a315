"""What the search knows of one study: its recorded results as points of the space, in order of their numbers.

Converting thousands of observations for every suggestion would cost more than the suggestion, and a recorded result
never changes: so a `Known` may be kept and told the whole history again, and looks only at what is new. It is a
cache, never a source: told the same history, a kept one and a fresh one are equal.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tuning_operator.search.space import PointKey, Space
from tuning_operator.search.types import Observation, Parameters


@dataclass(frozen=True, slots=True)
class Point:
    """A recorded trial that is a point of the space."""

    number: int
    key: PointKey
    values: tuple[float, ...] | None
    infeasible: bool
    violation: float = 0.0
    generation: int | None = None

    @property
    def useful(self) -> bool:
        """Something can be learned from it; a failure that is not the parameters' fault teaches nothing."""
        return self.infeasible or self.values is not None


@dataclass(slots=True)
class Known:
    """Points told so far. Observations that are no point of the space (a parameter missing) are left out."""

    space: Space
    points: list[Point] = field(default_factory=list)
    results: int = 0
    """How many observations the history holds, left out ones included."""
    derived: dict[int, tuple[Point, object]] = field(default_factory=dict)
    """What an algorithm made of each point, by number, so that it need not be made again."""
    _seen: Counter[PointKey] = field(default_factory=Counter)
    _told: dict[int, tuple[Observation, Point | None]] = field(default_factory=dict)
    _last: Sequence[Observation] | None = None

    def learn(self, history: Sequence[Observation]) -> None:
        """Make this the whole history. Costs little if most of it was told before."""
        if history is self._last and isinstance(history, tuple):
            return
        told: dict[int, tuple[Observation, Point | None]] = {}
        new: list[Point] = []
        kept = 0
        for observation in history:
            entry = self._told.get(observation.number)
            if entry is not None and (entry[0] is observation or entry[0] == observation):
                told[observation.number] = entry
                kept += 1
                continue
            point = self._point(observation, entry)
            told[observation.number] = (observation, point)
            if point is not None:
                new.append(point)
        if kept == len(self._told):
            if new:
                self.points = sorted([*self.points, *new], key=lambda point: point.number)
                self._seen.update(_own(new))
        else:
            self.points = sorted(
                (point for _, point in told.values() if point is not None), key=lambda point: point.number
            )
            self._seen = Counter(_own(self.points))
        self._told = told
        self._last = history
        self.results = len(told)

    def holds(self, number: int) -> bool:
        """Whether this trial is told."""
        return number in self._told

    @property
    def useful(self) -> int:
        """How many results something can be learned from."""
        return sum(point.useful for point in self.points)

    def seen(self, running: Mapping[int, Parameters]) -> "Seen":
        keys = (self.space.key(parameters) for parameters in running.values())
        return Seen(self._seen, frozenset(key for key in keys if key is not None))

    def _point(self, observation: Observation, before: tuple[Observation, Point | None] | None) -> Point | None:
        """With several fidelities values change, and parameters do not."""
        if before is not None and before[1] is not None and before[0].parameters is observation.parameters:
            key: PointKey | None = before[1].key
        else:
            key = self.space.key(observation.parameters)
        if key is None:
            return None
        values = observation.values
        # A value that is no number says that the parameters do not work.
        broken = values is not None and not all(map(math.isfinite, values))
        infeasible = observation.infeasible or broken or not math.isfinite(observation.violation)
        violation = 0.0 if infeasible else observation.violation
        usable = None if infeasible else values
        return Point(observation.number, key, usable, infeasible, violation, observation.generation)


def _own(points: Iterable[Point]) -> Iterable[PointKey]:
    """Results of earlier studies (negative numbers) teach, but their points may be tried here for the first time."""
    return (point.key for point in points if point.number >= 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """Points that were suggested before in this study: recorded ones and running ones."""

    recorded: Mapping[PointKey, int]
    running: frozenset[PointKey]

    def __contains__(self, key: object) -> bool:
        return key in self.running or key in self.recorded

    def __len__(self) -> int:
        return len(self.recorded) + sum(key not in self.recorded for key in self.running)

    def indices(self, space: Space) -> list[int]:
        """Indices of these points in the space's lattice, ascending."""
        lattice = space.lattice
        if lattice is None:
            return []
        return sorted(lattice.index(dict(key)) for key in {*self.recorded, *self.running})
