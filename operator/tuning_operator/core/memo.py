"""What decisions on a study work out of trials that do not change, kept from one decision to the next.

A memo is a cache, never a source: with a fresh one, a kept one or none, a decision is the same. It belongs to whoever
asks for decisions on one study, grows no larger than that study, and is gone with it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tuning_operator.api.study import StudySpec
from tuning_operator.core.kept import Blocks, Kept, same
from tuning_operator.core.model import Trial
from tuning_operator.core.rungs import RungLines
from tuning_operator.core.tally import Tally, by_end
from tuning_operator.search.schedulers.table import Row
from tuning_operator.search.types import Observation

Values = tuple[float, ...] | None
"""Of the objectives; None where there are none to learn from."""

_LATE: Final = 64
"""Trials that ended last and are folded anew each time: others that ended before them may still be recorded."""


class Memo:
    def __init__(self) -> None:
        self._spec: StudySpec | None = None
        self.rows: Kept[Row] = Kept()
        """The schedulers' view of each trial."""
        self.rungs: Blocks[RungLines] = Blocks()
        """For the table in the status."""
        self.achieved: Kept[Values] = Kept()
        """Of each trial the values that it ended with."""
        self.curves: Kept[tuple[Mapping[int, float], ...]] = Kept()
        """Of each trial its values at the rungs, for each objective."""
        self.observations: Kept[Observation | None] = Kept()
        """What the search is told of each trial."""
        self._folded: tuple[list[Trial], Tally] | None = None

    def of(self, spec: StudySpec) -> "Memo":
        """For this spec: what was worked out for another one is forgotten."""
        if spec is not self._spec and spec != self._spec:
            self._forget()
        self._spec = spec
        return self

    def tally(self, spec: StudySpec, recorded: Iterable[Trial]) -> Tally:
        """The fold of these trials, of which all but the last ones were folded before."""
        ordered = by_end(recorded)
        done, tally = self._folded or ([], Tally(spec))
        if not same(done, ordered[: len(done)]):
            done, tally = [], Tally(spec)
        sure = len(ordered) - _LATE
        if sure >= len(done) + _LATE:
            for trial in ordered[len(done) : sure]:
                tally.add(trial)
            done = ordered[:sure]
            self._folded = done, tally
        tally = tally.copy()
        for trial in ordered[len(done) :]:
            tally.add(trial)
        return tally

    def _forget(self) -> None:
        self.rows, self.rungs, self._folded = Kept(), Blocks(), None
        self.achieved, self.curves, self.observations = Kept(), Kept(), Kept()
