"""The snapshot, put side by side: each trial without a result with its runs, and the runs that should not be there.

The only module that reads `Snapshot.runs`. Costs one pass over the trials and one over the runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Run, RunState, Snapshot, StartProblem, Trial


@dataclass(frozen=True, slots=True)
class Open:
    """A trial without a result."""

    trial: Trial
    run: Run | None = None
    """Of the current attempt."""
    earlier: Run | None = None
    """The latest run of an earlier attempt, if it is still seen."""
    problem: StartProblem | None = None

    @property
    def live(self) -> bool:
        return self.run is not None and self.run.state is not RunState.ENDED

    @property
    def ended(self) -> bool:
        return self.run is not None and self.run.state is RunState.ENDED

    @property
    def vanished(self) -> bool:
        """It was seen running, and now nothing of it is there: its Job was deleted by hand, or its end was missed."""
        return self.run is None and self.trial.recorded_state is TrialState.RUNNING and not self.blocked

    @property
    def blocked(self) -> bool:
        """An earlier attempt is not gone yet, so the next one must wait (P1)."""
        return self.earlier is not None and self.earlier.live

    def between(self, run: Run) -> Open:
        """After `run`, its latest one. One before that which is not gone yet stays known: the next one waits for it."""
        return replace(self, run=None, earlier=_later(run, self.earlier), problem=None)

    @property
    def paused(self) -> bool:
        """It stands at a rung, and no attempt of it is to be started."""
        return self.run is None and self.trial.recorded_state is TrialState.PAUSED

    @property
    def startable(self) -> bool:
        return self.run is None and self.trial.recorded_state not in (TrialState.RUNNING, TrialState.PAUSED)


@dataclass(frozen=True, slots=True)
class View:
    recorded: list[Trial]
    """Trials of the search that have a result, by number."""
    open: list[Open]
    """Trials without one, by number; further runs and the final run among them."""
    standing: list[Trial]
    """Paused trials of the search of which nothing else is seen, by number: they can be thousands, and only a promotion
    or an end does anything to them."""
    further: list[Trial]
    """Further runs of the best trials that have a result, by number."""
    final: Trial | None
    """The final run, with or without a result."""
    live: int
    """Runs that hold a slot, whatever trial they belong to."""
    strays: list[Run]
    """Live runs that nothing waits for: their trial has a result or has gone on to a later attempt. They are stopped,
    also when a crash came between the record that says so and the stop."""
    total: int
    """Trials of the search."""


def look(snapshot: Snapshot) -> View:
    latest, earlier, live = _sort(snapshot.runs)
    problems = {problem.trial: problem for problem in snapshot.problems}
    busy = latest.keys() | problems.keys()
    recorded: list[Trial] = []
    open_trials: list[Open] = []
    standing: list[Trial] = []
    further: list[Trial] = []
    final: Trial | None = None
    strays: list[Run] = []
    finished: set[int] = set()
    for trial in snapshot.trials:
        if trial.role is Role.FINAL:
            final = trial
        number = trial.number
        if trial.result is not None:
            if number in latest:
                finished.add(number)
            if trial.role is Role.SEARCH:
                recorded.append(trial)
            elif trial.role is Role.CONFIRM:
                further.append(trial)
            continue
        if number not in busy and trial.recorded_state is TrialState.PAUSED and trial.role is Role.SEARCH:
            standing.append(trial)
            continue
        run, before = latest.get(number), earlier.get(number)
        if run is not None and run.attempt < trial.attempt:
            run, before = None, run
        problem = problems.get(number)
        if problem is not None and (run is not None or problem.attempt != trial.attempt):
            problem = None
        open_trials.append(Open(trial, run=run, earlier=before, problem=problem))
    known = {each.trial.number: each for each in open_trials}
    for run in live:
        each = known.get(run.trial)
        if run.trial in finished or (each is not None and run is not each.run):
            strays.append(run)
    total = len(recorded) + len(standing) + sum([each.trial.role is Role.SEARCH for each in open_trials])
    return View(recorded, open_trials, standing, further, final, len(live), strays, total)


def _sort(runs: Iterable[Run]) -> tuple[dict[int, Run], dict[int, Run], list[Run]]:
    """The latest run of each trial, the one before it, and all that are live."""
    latest: dict[int, Run] = {}
    earlier: dict[int, Run] = {}
    live: list[Run] = []
    for run in runs:
        if run.live:
            live.append(run)
        known = latest.get(run.trial)
        if known is None or run.attempt > known.attempt:
            latest[run.trial] = run
            if known is not None:
                earlier[run.trial] = _later(known, earlier.get(run.trial))
        else:
            earlier[run.trial] = _later(run, earlier.get(run.trial))
    return latest, earlier, live


def _later(run: Run, other: Run | None) -> Run:
    """A live one before an ended one: it must be gone first; then the one of the later attempt."""
    if other is None:
        return run
    return max(run, other, key=lambda each: (each.live, each.attempt))
