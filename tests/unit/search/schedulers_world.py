"""The smallest world in which a scheduler runs: workers take jobs, a job trains one trial from rung to rung.

It does to the table what the core does to trials, so tests speak of jobs (trial, rung) in the order they began.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tuning_operator.search.schedulers.table import Row, Scheduler, State, Verdict

Job = tuple[int, int]
"""Trial and rung."""


@dataclass
class World:
    scheduler: Scheduler
    loss: Callable[[int, int], float]
    """Of a trial at a rung; infinite where it is infeasible, NaN where the trial fails on its way there."""
    trials: int
    rows: dict[int, Row] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    spent: int = 0
    """Steps trained, going on from checkpoints."""

    @property
    def table(self) -> list[Row]:
        return [self.rows[number] for number in sorted(self.rows)]

    def run(self, workers: int = 1) -> World:
        """Each round every worker takes a job, and all of them end, in order."""
        while True:
            busy = [job for _ in range(workers) if (job := self._take()) is not None]
            if not busy:
                return self
            for job in busy:
                self._end(job)

    def _take(self) -> Job | None:
        ready = self.scheduler.promotable(self.table, complete=len(self.rows) == self.trials)
        if ready:
            number = ready[0]
            row = self.rows[number]
            assert row.state is State.PAUSED
            assert not row.promoted[-1], f"trial {number} is promoted twice"
            self.rows[number] = replace(row, state=State.RUNNING, promoted=(*row.promoted[:-1], True))
        elif len(self.rows) < self.trials:
            number = len(self.rows)
            self.rows[number] = Row(number)
        else:
            return None
        return number, len(self.rows[number].losses)

    def _end(self, job: Job) -> None:
        number, rung = job
        budgets = self.scheduler.rungs(number)
        until = self.scheduler.until(number, rung - 1)
        while True:
            self.jobs.append((number, rung))
            self.spent += budgets[rung] - (budgets[rung - 1] if rung else 0)
            loss = self.loss(number, rung)
            row = self.rows[number]
            if math.isnan(loss):
                self.rows[number] = replace(row, state=State.ENDED)
                return
            row = replace(row, losses=(*row.losses, (loss,)), promoted=(*row.promoted, False))
            self.rows[number] = row
            if rung == len(budgets) - 1:
                self.rows[number] = replace(row, state=State.ENDED)
                return
            verdict = self.scheduler.judge(self.table, number)
            if verdict is Verdict.STOP:
                self.rows[number] = replace(row, state=State.ENDED)
                return
            if verdict is Verdict.PAUSE:
                self.rows[number] = replace(row, state=State.PAUSED)
                return
            assert until > budgets[rung], "a trial that may go on must not have been told to stop here"
            self.rows[number] = replace(row, promoted=(*row.promoted[:-1], True))
            rung += 1
