"""Something of each trial, made anew only where the trial is another object than last time.

Trials are never changed, only replaced: whoever gathers keeps a trial as it is until its record changes, so of 10,000
trials only a few are others than a moment ago.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import Final, Generic, TypeVar

from tuning_operator.core.model import Trial

T = TypeVar("T")
V = TypeVar("V")

_BLOCK: Final = 128


class Kept(Generic[T]):
    """Of each trial."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Trial, object, T]] = {}

    def of(self, trials: Iterable[Trial], make: Callable[[Trial], T]) -> list[T]:
        known, found = self._known, []
        for trial in trials:
            entry = known.get(trial.number)
            if entry is None or entry[0] is not trial:
                entry = known[trial.number] = (trial, None, make(trial))
            found.append(entry[2])
        return found

    def given(self, trials: Iterable[Trial], values: Iterable[V], make: Callable[[Trial, V], T]) -> list[T]:
        """The same for what depends on a value of each trial, too."""
        known, found = self._known, []
        for trial, value in zip(trials, values, strict=True):
            entry = known.get(trial.number)
            if entry is None or entry[0] is not trial or entry[1] != value:
                entry = known[trial.number] = (trial, value, make(trial, value))
            found.append(entry[2])
        return found


class Blocks(Generic[T]):
    """Of each so many trials in a row."""

    def __init__(self) -> None:
        self._known: list[tuple[Sequence[Trial], T]] = []

    def of(self, trials: Sequence[Trial], make: Callable[[Sequence[Trial]], T]) -> Iterator[T]:
        before, self._known = self._known, []
        for index, start in enumerate(range(0, len(trials), _BLOCK)):
            block = trials[start : start + _BLOCK]
            entry = before[index] if index < len(before) else None
            if entry is None or not same(entry[0], block):
                entry = (block, make(block))
            self._known.append(entry)
            yield entry[1]


def same(some: Sequence[Trial], others: Sequence[Trial]) -> bool:
    """Whether these are the same objects."""
    return len(some) == len(others) and all(map(is_, some, others))
