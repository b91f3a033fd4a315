"""The words of the schedulers: a table of what each trial reached at its rungs goes in, verdicts come out.

A scheduler sees committed values only, so that what it said is found again after any crash. It knows neither Jobs nor
processes: the core turns its verdicts into stops, pauses and promotions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Loss = tuple[float, ...]
"""One number for each objective, smaller is better; infinite where a value was not finite or constraints are broken."""


class State(StrEnum):
    RUNNING = "Running"
    """It trains, or waits for a slot to do so; it may still reach its next rung."""
    PAUSED = "Paused"
    """It stands at its last rung with a checkpoint and may be promoted."""
    ENDED = "Ended"
    """It has a result: finished, failed or stopped. What it reached still counts."""


@dataclass(frozen=True, slots=True)
class Row:
    """One trial of the search."""

    number: int
    losses: tuple[Loss, ...] = ()
    """At its rungs, from the first on, as far as it came."""
    promoted: tuple[bool, ...] = ()
    """For each of them, whether it was allowed to go on."""
    state: State = State.RUNNING


Table = Sequence[Row]
"""Every trial of the search, by number."""


class Verdict(StrEnum):
    GO_ON = "GoOn"
    PAUSE = "Pause"
    STOP = "Stop"


class Scheduler(Protocol):
    """Rungs are counted from 0; `rungs(number)[-1]` is the full budget, at which a trial ends by itself."""

    def rungs(self, number: int) -> tuple[int, ...]:
        """The budgets at which this trial is looked at, rising."""

    def bracket(self, number: int) -> int:
        """The bracket of this trial, for the table in the status; 0 where there is one only."""

    def until(self, number: int, rung: int) -> int:
        """The budget up to which an attempt may train that was promoted from `rung` (-1: its first attempt)."""

    def judge(self, table: Table, number: int) -> Verdict:
        """What becomes of a trial that runs and has reached its last rung in `losses`, which is not its full budget.

        `table` holds this value already. Asked once, when the value is recorded.
        """

    def promotable(self, table: Table, *, complete: bool = False) -> list[int]:
        """Paused trials that may go on now, the one to take first at the front.

        `complete`: no trial will be added (the limit is reached, or the space exhausted).
        """

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        """Paused trials that can never be promoted any more."""
