"""The papers of one decision: what every trial without a result comes to, and the stops that belong to it.

Trials are replaced by what their status should say; the differences become the plan's records. Knows nothing of the
study as a whole: neither limits nor the search.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core import replicates
from tuning_operator.core.lifecycle import (
    Again,
    accelerator_seconds,
    judge,
    never_started,
    plateau,
    timed_out,
    unpromising,
    values_due,
)
from tuning_operator.core.model import (
    Action,
    RecordAttempt,
    RecordResult,
    Replicate,
    Result,
    Run,
    RunState,
    StopRun,
    Trial,
)
from tuning_operator.core.rungs import Ladder, ends_at
from tuning_operator.core.stalls import own_fault
from tuning_operator.core.times import seconds
from tuning_operator.core.view import Open, View
from tuning_operator.search.schedulers.table import Verdict
from tuning_trial import exit_codes
from tuning_trial.report import Report

LINGERS_SECONDS: Final = 15.0
"""How long pods of an object that has ended may take to end, before it is deleted."""
GONE: Final = "its Job or pod is gone, and its end was not seen"


class Desk:
    def __init__(self, view: View, spec: StudySpec, now: float, *, ladder: Ladder | None) -> None:
        self.view = view
        self.spec = spec
        self.now = now
        self.ladder = ladder
        self.bar = replicates.bar(spec, view.recorded)
        self.opens = {each.trial.number: each for each in view.open}
        """Trials that stay without a result, but for those that only stand."""
        self.standing = {trial.number: trial for trial in view.standing}
        """Paused trials that nothing was done to."""
        self.results: list[tuple[Trial, Run | None]] = []
        """Trials that get their result, in the order of their ends."""
        self.times: list[float] = []
        """When something falls due."""
        self.stops = [StopRun(run.trial, run.attempt, "Superseded") for run in view.strays if self._overstays(run)]
        self.proven = self._proven()
        """Whether image and command are known to work: some trial reported something."""
        self._before = {each.trial.number: each.trial for each in view.open}

    def look_at_all(self) -> None:
        """Results, next attempts and timeouts, in the order in which things ended."""
        for each in sorted(self.opens.values(), key=self._end):
            if not (each.paused and each.earlier is None):
                self._look_at(each)

    @property
    def paused(self) -> bool:
        """Whether any trial is."""
        return bool(self.standing) or any(each.paused for each in self.opens.values())

    @property
    def unfinished(self) -> Iterator[Trial]:
        """Every trial without a result, as it stands now."""
        yield from self.standing.values()
        yield from (each.trial for each in self.opens.values())

    def take_up(self, number: int) -> Open | None:
        """A trial without a result, to do something to it."""
        trial = self.standing.pop(number, None)
        if trial is not None:
            self.opens[number], self._before[number] = Open(trial), trial
        return self.opens.get(number)

    def stop(self, each: Open, result: Result) -> None:
        """Gives a trial its result, and stops what runs of it. A live run keeps its slot until it is gone."""
        self._stop_run(each.run, result.reason)
        self._finish(each, each.run, result)

    def suspend(self) -> None:
        """Stops what runs; the trials go back to the queue, and this counts against nothing."""
        for each in list(self.opens.values()):
            if each.run is not None and each.live:
                self._stop_run(each.run, "Suspended")
                self._go_on(each, each.run, None)

    def promote(self, number: int) -> None:
        """Sends a paused trial on its way to the next rung."""
        self._passed(self.opens[number])

    def record_of(self, number: int) -> RecordAttempt | None:
        """What is to be written of a trial without a result; None if its status says so already."""
        trial, before = self.opens[number].trial, self._before[number]
        if trial is before:
            return None
        record = _record(trial)
        return None if record == _record(before) else record

    def result_records(self) -> list[Action]:
        return [
            RecordResult(
                trial.number,
                trial.attempt if run is None else run.attempt,
                trial.result,
                trial.retries,
                trial.disruptions,
                trial.accelerator_seconds,
                trial.started_at,
                self.now if trial.ended_at is None else trial.ended_at,
                trial.rungs,
                trial.replicates,
            )
            for trial, run in self.results
            if trial.result is not None
        ]

    @property
    def further(self) -> list[Trial]:
        """Further runs of the best trials as they stand now, by number."""
        found = [
            *self.view.further,
            *(each.trial for each in self.opens.values()),
            *(trial for trial, _ in self.results),
        ]
        return sorted((trial for trial in found if trial.role is Role.CONFIRM), key=lambda trial: trial.number)

    def _overstays(self, run: Run) -> bool:
        """Of a run that nothing waits for: whether it is to be stopped now. Where only the rest of an ended one is
        left, its controller may be about to do that itself, and leaves the logs."""
        if run.state is RunState.STOPPING:
            return False
        until = (run.ended_at or 0.0) + LINGERS_SECONDS
        if not run.lingers or self.now >= until:
            return True
        self.times.append(until)
        return False

    def _proven(self) -> bool:
        if any(each.run is not None and each.run.report is not None for each in self.view.open):
            return True
        unfinished = chain((each.trial for each in self.view.open), self.view.standing)
        if any(trial.rungs or trial.replicates for trial in unfinished):
            return True
        return any(trial.result is not None and trial.result.step is not None for trial in self.view.recorded)

    def _end(self, each: Open) -> tuple[float, int]:
        ended = each.run.ended_at if each.run is not None else None
        return (self.now if ended is None else ended, each.trial.number)

    def _look_at(self, each: Open) -> None:
        if each.vanished:
            each = replace(each, run=self._vanished(each))
        run = each.run
        blame = own_fault(each, self.spec, proven=self.proven, now=self.now)
        if blame is not None:
            self.stop(each, never_started(self.spec, reason=blame.reason, message=blame.message))
        elif run is None:
            self._climb(each)
        elif run.state is RunState.ENDED:
            self._ended(each, run)
        elif run.queued:
            self._held_back(each, run)
        elif run.state is RunState.RUNNING and self._overdue(run):
            self.stop(each, timed_out(self.spec, run))
        elif run.state is RunState.RUNNING and (still := plateau(each.trial, run, self.spec, now=self.now)) is not None:
            self._stop_run(run, still.reason)
            self._done(each, run, still)
        elif run.started_at is not None:
            trial = replace(
                each.trial,
                attempt=run.attempt,
                recorded_state=TrialState.RUNNING,
                started_at=each.trial.started_at or run.started_at,
            )
            each = self.opens[trial.number] = replace(each, trial=trial)
            if not self._about_to_stop(each, run):
                self._climb(each)

    def _held_back(self, each: Open, run: Run) -> None:
        """A queue holds its Job, from the beginning or again. The attempt goes on from its checkpoint once it may run,
        so this counts against nothing; what it cost is recorded together with its being queued, and never again.
        """
        if run.started_at is None and each.trial.attempt == 0 and not each.trial.accelerator_seconds:
            run = replace(run, started_at=each.trial.started_at)  # it ran, and nothing else is left of that
        waiting = replace(run, started_at=None, ended_at=None)
        if each.trial.recorded_state is TrialState.QUEUED:
            self.opens[each.trial.number] = replace(each, run=waiting)
            return
        after = self._climb(replace(each, run=run))
        if after is not None:
            trial = replace(self._spent(after.trial, run), attempt=run.attempt, recorded_state=TrialState.QUEUED)
            self.opens[trial.number] = replace(after, trial=self._known(trial), run=waiting)

    def _vanished(self, each: Open) -> Run:
        """Of later attempts not even the start is known; they cost nothing, rather than days that the operator was
        down.
        """
        return Run(
            each.trial.number,
            each.trial.attempt,
            RunState.ENDED,
            each.trial.created_at,
            started_at=each.trial.started_at if each.trial.attempt == 0 else None,
            ended_at=self.now,
            disrupted=True,
            message=GONE,
        )

    def _ended(self, each: Open, run: Run) -> None:
        until = values_due(run, self.spec)
        if run.reading and self.now < until:
            self.times.append(until)
            return
        if self._stands_at_its_rung(each, run):
            after = self._climb(each)
            if after is not None:
                self._go_on(after, run, None)
            return
        verdict = judge(each.trial, run, self.spec, now=self.now, proven=self.proven)
        if verdict.result is not None:
            self._done(each, run, verdict.result)
        elif verdict.again is not None:
            after = self._climb(each)
            if after is not None:
                self._go_on(after, run, verdict.again)
        elif verdict.wait_until is not None:
            self.times.append(verdict.wait_until)

    def _done(self, each: Open, run: Run, result: Result) -> None:
        """The result of a run is the trial's, unless the trial is trained several times and this run went well."""
        count = replicates.wanted(self.spec, each.trial)
        if count == 1 or result.state is not TrialState.SUCCEEDED:
            self._finish(each, run, result)
            return
        runs = (*each.trial.replicates, Replicate(result.values, result.metrics))
        left_out = replicates.clearly_worse(self.spec, runs, self.bar) if len(runs) < count else None
        each = replace(each, trial=replace(each.trial, replicates=runs))
        if len(runs) >= count or left_out is not None:
            self._finish(each, run, replicates.mean_of(self.spec, runs, result, left_out=left_out))
            return
        if self.ladder is not None:
            each = replace(each, trial=self.ladder.passed(each.trial, result.values))
        self._go_on(each, run, None)

    def _climb(self, each: Open) -> Open | None:
        """Takes up what was reported of further rungs, and what follows from it. None if it has to leave its slot."""
        if self.ladder is None or each.trial.role is not Role.SEARCH:
            return each
        trial = self.ladder.reached(each.trial, _reports(each))
        if trial is each.trial:
            return each
        each = self.opens[trial.number] = replace(each, trial=trial)
        verdict = self.ladder.judge(trial)
        if verdict is Verdict.GO_ON:
            return self._passed(each)
        if verdict is Verdict.STOP:
            self.stop(each, unpromising(self.spec, trial, each.run or each.earlier))
        else:
            self._pause(each)
        return None

    def _passed(self, each: Open) -> Open:
        last = replace(each.trial.rungs[-1], promoted=True)
        trial = replace(each.trial, rungs=(*each.trial.rungs[:-1], last))
        if trial.recorded_state is TrialState.PAUSED:
            trial = replace(trial, recorded_state=TrialState.PENDING)
        each = self.opens[trial.number] = replace(each, trial=self._known(trial))
        return each

    def _pause(self, each: Open) -> None:
        """Its slot goes to another one; this counts against nothing."""
        run = each.run
        trial = replace(self._spent(each.trial, run), recorded_state=TrialState.PAUSED)
        if run is not None:
            self._stop_run(run, "Paused")
            trial = replace(trial, attempt=run.attempt + 1)
            each = each.between(run)
        self.opens[trial.number] = replace(each, trial=self._known(trial))

    def _about_to_stop(self, each: Open, run: Run) -> bool:
        """It has reached the step at which it ends by itself, and gets the time to save its checkpoint. A program that
        goes on all the same is stopped at its next step.
        """
        step = None if self.ladder is None else ends_at(self.spec, each.trial)
        return step is not None and run.report is not None and run.report.step == step

    def _stands_at_its_rung(self, each: Open, run: Run) -> bool:
        if self.ladder is None or run.exit_code != exit_codes.STOPPED or each.trial.role is not Role.SEARCH:
            return False
        step = ends_at(self.spec, each.trial)
        reached = self.ladder.reached(each.trial, _reports(each)).rungs
        return step is not None and bool(reached) and reached[-1].budget >= step

    def _known(self, trial: Trial) -> Trial:
        return trial if self.ladder is None else self.ladder.put(trial)

    def _overdue(self, run: Run) -> bool:
        if self.spec.trial.timeout is None or run.started_at is None:
            return False
        until = run.started_at + seconds(self.spec.trial.timeout)
        self.times.append(until)
        return self.now >= until

    def _finish(self, each: Open, run: Run | None, result: Result) -> None:
        ended = run.ended_at if run is not None and run.ended_at is not None else self.now
        if run is not None and run.state is RunState.ENDED and run.looked_at is not None:
            result = replace(result, last_scrape_age=max(0.0, ended - run.looked_at))
        trial = replace(self._spent(each.trial, run), result=result, recorded_state=result.state, ended_at=ended)
        if self.ladder is not None and trial.role is Role.SEARCH:
            trial = self.ladder.reached(trial, _reports(each))
            if result.state is TrialState.SUCCEEDED:
                trial = self.ladder.completed(trial, result.values)
            self.ladder.put(trial)
        self.results.append((trial, run))
        del self.opens[trial.number]

    def _go_on(self, each: Open, run: Run, why: Again | None) -> None:
        """Sends a trial to its next attempt; without a reason (we stopped it ourselves) it counts against nothing."""
        trial = replace(
            self._spent(each.trial, run),
            recorded_state=TrialState.PENDING,
            attempt=run.attempt + 1,
            retries=each.trial.retries + (why is Again.RETRY),
            disruptions=each.trial.disruptions + (why is Again.DISRUPTION),
        )
        self.opens[trial.number] = replace(each.between(run), trial=self._known(trial))

    def _spent(self, trial: Trial, run: Run | None) -> Trial:
        if run is None:
            return trial
        cost = trial.accelerator_seconds + accelerator_seconds(self.spec, run, self.now)
        return replace(trial, started_at=trial.started_at or run.started_at, accelerator_seconds=cost)

    def _stop_run(self, run: Run | None, reason: str) -> None:
        if run is not None and run.state in (RunState.WAITING, RunState.RUNNING):
            self.stops.append(StopRun(run.trial, run.attempt, reason))


def _reports(each: Open) -> tuple[Report | None, ...]:
    """What the attempts said that are still seen, the earlier one first."""
    return tuple(None if run is None else run.report for run in (each.earlier, each.run))


def _record(trial: Trial) -> RecordAttempt:
    return RecordAttempt(
        trial.number,
        trial.recorded_state,
        trial.attempt,
        trial.retries,
        trial.disruptions,
        trial.accelerator_seconds,
        trial.started_at,
        trial.rungs,
        trial.replicates,
    )
