"""Virtual time: callbacks in the order of their times, and processes that are generators of pauses."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

EPOCH = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = EPOCH
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + max(0.0, delay), next(self._order), what))

    def run(self, *, until: float, done: Callable[[], bool]) -> bool:
        """False if the time was not enough."""
        while self._due and not done():
            at, _, what = heapq.heappop(self._due)
            if at > until:
                return False
            self.now = max(self.now, at)
            what()
        return done()


@dataclass(frozen=True, slots=True)
class Pause:
    """What a process yields: it goes on after `seconds`, or earlier if it is `wakeable` and woken."""

    seconds: float
    wakeable: bool = False


Steps = Generator[Pause, None, Any]


class Process:
    """A generator under way. `kill` ends it wherever it pauses, without a last word."""

    def __init__(self, clock: Clock, steps: Steps, *, on_exit: Callable[[BaseException | None], None]) -> None:
        self._clock = clock
        self._steps = steps
        self._on_exit = on_exit
        self._turn = 0
        self._asleep = False
        self.alive = True
        clock.after(0.0, self._go(0))

    def wake(self) -> None:
        if self.alive and self._asleep:
            self._asleep = False
            self._turn += 1
            self._clock.after(0.0, self._go(self._turn))

    def kill(self) -> None:
        self.alive = False
        self._steps.close()

    def _go(self, turn: int) -> Callable[[], None]:
        def step() -> None:
            if not self.alive or turn != self._turn:
                return
            try:
                pause = next(self._steps)
            except Exception as error:
                self.alive = False
                self._on_exit(None if isinstance(error, StopIteration) else error)
                return
            self._turn += 1
            self._asleep = pause.wakeable
            self._clock.after(pause.seconds, self._go(self._turn))

        return step
