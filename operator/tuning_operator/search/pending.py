"""The suggestions one study asked for: which are made, from what, and which is to be made next.

Plain state without threads or clocks; `LookAhead` guards it with its lock. A suggestion is made again exactly when
what it would be made from differs from what it was made from: the problem, the history, and the points that run or
were suggested for earlier numbers. A history is another one if any observation in it is: with several fidelities
their values change while their number stays. Where the search waits, it is asked again when any of this changes.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from tuning_operator.search.known import Known
from tuning_operator.search.space import PointKey
from tuning_operator.search.suggest import Answer, Problem, suggest
from tuning_operator.search.types import Exhausted, Observation, Parameters, Suggestion, Waiting

URGENT = 0.0
NEVER = float("inf")

_SETTLE = 0.05
"""Seconds that a refresh waits for more results, and lets those who react to this one go first."""
_BACKOFF_FIRST, _BACKOFF_MOST = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """What suggestions of one study are made from: the arguments of `suggest`."""

    problem: Problem
    history: Sequence[Observation]
    running: Mapping[int, Parameters]


@dataclass(frozen=True, slots=True)
class Made:
    suggestion: Suggestion
    key: PointKey | None
    basis: int
    """Stands for everything it was made from."""


@dataclass(frozen=True, slots=True)
class Task:
    """One suggestion to compute; holds all it needs, so that it runs without the lock."""

    key: Hashable
    study: "Pending"
    number: int
    inputs: Inputs
    running: Mapping[int, Parameters]
    known: Known
    basis: int

    def run(self) -> Answer:
        return suggest(
            self.inputs.problem,
            history=self.inputs.history,
            running=self.running,
            number=self.number,
            known=self.known,
        )


@dataclass(slots=True, eq=False)
class Pending:
    """One study's numbers, in order; `made` holds what is ready, fresh or stale."""

    inputs: Inputs
    numbers: Sequence[int] = ()
    made: dict[int, Made] = field(default_factory=dict)
    exhausted: bool = False
    waiting: str | None = None
    """Why nothing more can be suggested before more is known."""
    problem: str | None = None
    busy: bool = False
    known: Known | None = None
    _ended: tuple[int, int] | None = None
    """Number and basis at which there was no suggestion: the space was exhausted, or the search waits."""
    _revision: int = 0
    """Another one for each other history."""
    _running: dict[int, tuple[Parameters, PointKey | None]] = field(default_factory=dict)
    _settled: float = 0.0
    _failures: int = 0
    _retry_at: float = URGENT
    _next: tuple[int, int] | None = None
    """What `_outdated` found, as long as `_looked`: nothing has changed since."""
    _looked: bool = False

    def renew(self, inputs: Inputs, numbers: Sequence[int], *, now: float) -> None:
        """Newer inputs replace the older ones; stale suggestions stay where they can still be used."""
        space, self._looked = inputs.problem.space, False
        if inputs.problem != self.inputs.problem:
            self.made, self._running, self._retry_at = {}, {}, URGENT
            self.known = None
        if _differ(inputs.history, self.inputs.history):
            self._revision += 1
        self.inputs, self._settled = inputs, now + _SETTLE
        self.numbers = [number for number in numbers if number not in inputs.running]
        running: dict[int, tuple[Parameters, PointKey | None]] = {}
        for number, parameters in inputs.running.items():
            before = self._running.get(number)
            same = before is not None and before[0] is parameters
            running[number] = before if before is not None and same else (parameters, space.key(parameters))
        self._running = running
        wanted = frozenset(self.numbers)
        once = space.lattice is not None and not inputs.problem.population
        taken = frozenset(key for _, key in running.values()) if once else frozenset()
        self.made = {number: made for number, made in self.made.items() if number in wanted and made.key not in taken}

    @property
    def idle(self) -> bool:
        """Nothing to compute, or not before a failed computation is tried again."""
        return not self.busy and (self.problem is not None or self._outdated() is None)

    @property
    def urgent(self) -> bool:
        """A number has no suggestion at all."""
        return not self.exhausted and self.waiting is None and any(number not in self.made for number in self.numbers)

    @property
    def stuck(self) -> str | None:
        """Why it waits although it was told that nothing runs, so that nothing can change it; None if it does not."""
        for_nothing = self.waiting is not None and not self.inputs.running and not self.made
        return self.waiting if for_nothing and not self.busy and self._outdated() is None else None

    def due(self, rest_until: float) -> float:
        """When the next computation should start: `URGENT`, a time, or `NEVER`."""
        outdated = None if self.busy else self._outdated()
        if outdated is None:
            return NEVER
        urgent = outdated[0] not in self.made
        return max(self._retry_at, URGENT if urgent else max(self._settled, rest_until))

    def start(self, key: Hashable) -> Task:
        outdated = self._outdated()
        if outdated is None:
            raise RuntimeError("nothing to compute")
        number, basis = outdated
        self.busy = True
        if self.known is None:
            self.known = Known(self.inputs.problem.space)
        earlier = {other: made.suggestion.parameters for other, made in self.made.items() if other < number}
        return Task(key, self, number, self.inputs, {**earlier, **self.inputs.running}, self.known, basis)

    def take(self, task: Task, result: Answer | Exception, *, now: float) -> bool:
        """Keep what a task computed; True if there is now something that was not there before."""
        self.busy = False
        before = self._told()
        self._looked = False
        if isinstance(result, Exception):
            self._failures += 1
            self._retry_at = now + min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0 ** (self._failures - 1))
            self.problem = f"{type(result).__name__}: {result}"
            self.known = None
            return before != self._told()
        self._failures, self._retry_at, self.problem = 0, URGENT, None
        if isinstance(result, Exhausted | Waiting):
            self._ended, self.exhausted = (task.number, task.basis), isinstance(result, Exhausted)
            self.waiting = result.reason if isinstance(result, Waiting) else None
            self.made = {number: made for number, made in self.made.items() if number < task.number}
        elif task.number in self.numbers and task.inputs.problem == self.inputs.problem:
            self._ended, self.exhausted, self.waiting = None, False, None
            self._keep(task, result)
        return before != self._told()

    def _told(self) -> Hashable:
        """What others see of it; a suggestion made again is no news."""
        return frozenset(self.made), self.exhausted, self.waiting, self.stuck, self.problem

    def _keep(self, task: Task, suggestion: Suggestion) -> None:
        space = task.inputs.problem.space
        key = space.key(suggestion.parameters)
        if space.lattice is not None and not task.inputs.problem.population:
            # Meanwhile others may have got this very point: nobody runs it twice.
            if any(key == running for _, running in self._running.values()):
                return
            self.made = {number: made for number, made in self.made.items() if number == task.number or made.key != key}
        self.made[task.number] = Made(suggestion, key, task.basis)

    def _outdated(self) -> tuple[int, int] | None:
        """The first number that has no suggestion from the newest inputs, and what it is to be made from."""
        if not self._looked:
            self._next, self._looked = self._look(), True
        return self._next

    def _look(self) -> tuple[int, int] | None:
        basis = hash(("history", self._revision))
        for number, (_, key) in self._running.items():
            basis ^= hash((number, key))
        for number in self.numbers:
            made = self.made.get(number)
            if self._ended == (number, basis):
                return None
            if made is None or made.basis != basis:
                return number, basis
            basis ^= hash((number, made.key))
        return None


def _differ(one: Sequence[Observation], other: Sequence[Observation]) -> bool:
    """Whether two histories differ in anything; what is the same object is not looked into."""
    if one is other and isinstance(one, tuple):
        return False
    return len(one) != len(other) or any(a is not b and a != b for a, b in zip(one, other, strict=True))
