"""Named places at which the operator of the simulation can be hit: before and after every write of every kind.

`after StartRun#3:crash` reads: the third time that a Job was created, right after it, the process is killed. The three
ways to be hit are the classic ones: a crash between two writes, a view of the world that stays as old as it is now, and
states that come and go while nobody looks.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

STALE_SECONDS = 40.0
ASLEEP_SECONDS = 100.0


class How(StrEnum):
    CRASH = "crash"
    STALE = "stale"
    """What it sees of the world stays as it is for a while; its own writes it knows."""
    ASLEEP = "asleep"
    """It stands still for longer than most things take."""


@dataclass(frozen=True, slots=True)
class Hit:
    place: str
    """`before` or `after`, and the kind of the write."""
    turn: int
    """Counted from 1, over all processes of a run."""
    how: How

    def __str__(self) -> str:
        return f"{self.place}#{self.turn}:{self.how}"

    @classmethod
    def parse(cls, text: str) -> Hit:
        found = re.fullmatch(r"(.+)#(\d+):(\w+)", text)
        if found is None:
            raise ValueError(f"{text!r}: write it as in 'after StartRun#3:crash'")
        return cls(found[1], int(found[2]), How(found[3]))


class Failpoints:
    """Counts what is passed, and says when the one that was chosen is."""

    def __init__(self, hit: Hit | None = None) -> None:
        self._hit = hit
        self.passed: Counter[str] = Counter()

    def passing(self, place: str) -> How | None:
        self.passed[place] += 1
        hit = self._hit
        return hit.how if hit is not None and hit.place == place and hit.turn == self.passed[place] else None

    def every(self, how: How) -> list[Hit]:
        """Each one that was passed."""
        return [Hit(place, turn, how) for place in sorted(self.passed) for turn in range(1, self.passed[place] + 1)]
