"""One decision: from what is seen of a study to what is to be done now. Pure: no clock, no randomness, no I/O.

The plan is derived from the whole snapshot each time and nothing is remembered in between, so any part of a plan
may get lost: the next decision finds what is missing. The order of the actions serves the accelerators first: what
fills a free slot comes before the records of what freed it. Costs one pass over the trials; see
tests/bench/decide.py.
"""

from dataclasses import replace
from typing import Final

from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core import final as final_run
from tuning_operator.core.budgets import End, Search, next_limit, room, search_end
from tuning_operator.core.events import events_of
from tuning_operator.core.lifecycle import (
    Again,
    accelerator_seconds,
    accelerators,
    judge,
    never_started,
    stopped,
    timed_out,
)
from tuning_operator.core.model import (
    Action,
    CreateTrial,
    Plan,
    RecordAttempt,
    RecordResult,
    Result,
    Run,
    RunState,
    Snapshot,
    StartRun,
    StopRun,
    Trial,
)
from tuning_operator.core.stalls import Hindrances, hindrances, own_fault, start_at
from tuning_operator.core.status import Projection, project
from tuning_operator.core.tally import Tally
from tuning_operator.core.times import seconds
from tuning_operator.core.view import Open, look

REREAD: Final = 60.0
"""Watches lie: an active study is looked at again at least this often."""
LOOK_AHEAD_MAX: Final = 64
"""Most suggestions kept ready beyond the free slots."""
GONE: Final = "its Job or pod is gone, and its end was not seen"


def decide(snapshot: Snapshot, now: float) -> Plan:
    if snapshot.study.deleting:
        # Owner references take everything along; whatever is written now would only be in the way.
        return Plan(actions=(), status=snapshot.previous_status, finished=True)
    return _Desk(snapshot, now).plan()


class _Desk:
    """The papers of one decision: what each trial should say, and the actions that bring it there."""

    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self.snapshot = snapshot
        self.spec = snapshot.study.spec
        self.now = now
        self.view = look(snapshot)
        self.opens = {each.trial.number: each for each in self.view.open}
        self.before = {each.trial.number: each.trial for each in self.view.open}
        self.results: list[tuple[Trial, Run | None]] = []
        self.stops: list[StopRun] = [
            StopRun(run.trial, run.attempt, "Superseded")
            for run in self.view.strays
            if run.state is not RunState.STOPPING
        ]
        self.starts: list[Action] = []
        self.restarts: list[int] = []
        self.final_actions: list[Action] = []
        self.times: list[float] = []
        self.free = self.spec.limits.parallel - self.view.live
        self.proven = self._proven()

    def plan(self) -> Plan:
        for each in sorted(self.opens.values(), key=self._order):
            self._look_at(each)
        tally = Tally(self.spec, self.view.recorded + [trial for trial, _ in self.results if trial.role is Role.SEARCH])
        for each in self.opens.values():
            if each.trial.role is Role.SEARCH:
                tally.spend(each.trial)
        search = self._search()
        end = search_end(self.spec, tally, search, now=self.now)
        if end is not None:
            self._end_search(end, tally)
        self._stop_unwanted_final()
        if self.spec.suspend:
            self._suspend()
        hindered = hindrances(list(self.opens.values()), self.snapshot.invalid, proven=self.proven, now=self.now)
        created = self._start(end, tally, search, hindered)
        return self._write(end, tally, search, hindered, created)

    # What each trial came to.

    def _proven(self) -> bool:
        """Whether image and command are known to work: some trial reported something."""
        if any(each.run is not None and each.run.report is not None for each in self.view.open):
            return True
        return any(trial.result is not None and trial.result.step is not None for trial in self.view.recorded)

    def _order(self, each: Open) -> tuple[float, int]:
        ended = each.run.ended_at if each.run is not None else None
        return (self.now if ended is None else ended, each.trial.number)

    def _look_at(self, each: Open) -> None:
        run = each.run
        if each.vanished:
            started = each.trial.started_at if each.trial.attempt == 0 else None
            run = Run(
                each.trial.number,
                each.trial.attempt,
                RunState.ENDED,
                each.trial.created_at,
                started_at=started,
                ended_at=self.now,
                disrupted=True,
                message=GONE,
            )
        blame = own_fault(each, self.spec, proven=self.proven, now=self.now)
        if blame is not None:
            self._stop(run, "StartFailed")
            self._finish(each, run, never_started(self.spec, reason=blame.reason, message=blame.message))
        elif run is None:
            return
        elif run.state is RunState.ENDED:
            self._ended(each, run)
        elif run.state is RunState.RUNNING and self._overdue(run):
            self._stop(run, "DeadlineExceeded")
            self._finish(each, run, timed_out(self.spec, run))
        elif run.started_at is not None:
            trial = replace(
                each.trial,
                attempt=run.attempt,
                recorded_state=TrialState.RUNNING,
                started_at=each.trial.started_at or run.started_at,
            )
            self.opens[trial.number] = replace(each, trial=trial)

    def _ended(self, each: Open, run: Run) -> None:
        verdict = judge(each.trial, run, self.spec, now=self.now, proven=self.proven)
        if verdict.result is not None:
            self._finish(each, run, verdict.result)
        elif verdict.again is not None:
            self._go_on(each, run, verdict.again)
        elif verdict.wait_until is not None:
            self.times.append(verdict.wait_until)

    def _overdue(self, run: Run) -> bool:
        if self.spec.trial.timeout is None or run.started_at is None:
            return False
        until = run.started_at + seconds(self.spec.trial.timeout)
        self.times.append(until)
        return self.now >= until

    def _finish(self, each: Open, run: Run | None, result: Result) -> None:
        """Gives a trial its result; a live run keeps its slot until it is gone."""
        ended = run.ended_at if run is not None and run.ended_at is not None else self.now
        trial = replace(self._spent(each.trial, run), result=result, recorded_state=result.state, ended_at=ended)
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
        self.opens[trial.number] = replace(each, trial=trial, run=None, earlier=run, problem=None)

    def _spent(self, trial: Trial, run: Run | None) -> Trial:
        if run is None:
            return trial
        cost = trial.accelerator_seconds + accelerator_seconds(self.spec, run, self.now)
        return replace(trial, started_at=trial.started_at or run.started_at, accelerator_seconds=cost)

    def _stop(self, run: Run | None, reason: str) -> None:
        if run is not None and run.state in (RunState.WAITING, RunState.RUNNING):
            self.stops.append(StopRun(run.trial, run.attempt, reason))

    # What the study as a whole comes to.

    def _search(self) -> Search:
        unfinished = [each for each in self.opens.values() if each.trial.role is Role.SEARCH]
        ahead = self._next_number()
        return Search(
            total=self.view.total,
            unfinished=len(unfinished),
            live_seconds=sum(
                accelerator_seconds(self.spec, e.run, self.now) for e in unfinished if e.run is not None and e.live
            ),
            ready=int(ahead in self.snapshot.suggestions),
            exhausted=self.snapshot.exhausted,
            closed=self.view.final is not None,
        )

    def _next_number(self) -> int:
        return self.snapshot.trials[-1].number + 1 if self.snapshot.trials else 0

    def _end_search(self, end: End, tally: Tally) -> None:
        """Every end stops what still runs. Only values that are on their way are waited for: they may be the best."""
        for each in list(self.opens.values()):
            if each.trial.role is Role.SEARCH and not each.ended:
                self._stop(each.run, end.reason)
                self._finish(each, each.run, stopped(self.spec, each.run, reason=end.reason, message=end.message))
                tally.add(self.results[-1][0])

    def _stop_unwanted_final(self) -> None:
        for each in list(self.opens.values()):
            if each.trial.role is Role.FINAL and not final_run.wanted(self.spec):
                self._stop(each.run, final_run.NOT_WANTED)
                message = "spec.final does not ask for it any more"
                self._finish(each, each.run, stopped(self.spec, each.run, reason=final_run.NOT_WANTED, message=message))

    def _suspend(self) -> None:
        for each in list(self.opens.values()):
            if each.run is not None and each.live:
                self._stop(each.run, "Suspended")
                self._go_on(each, each.run, None)

    # What may start.

    def _start(self, end: End | None, tally: Tally, search: Search, hindered: Hindrances) -> list[Trial]:
        """Fills the free slots: trials that wait for their next attempt first, then new ones, or the final run."""
        if self.snapshot.invalid or self.spec.suspend:
            return []
        freed = any(run is not None and run.state is RunState.ENDED for _, run in self.results)
        for each in self.opens.values():
            if not each.startable or each.blocked:
                continue
            if self.free <= 0:
                break
            if hindered.any and each.trial.number != hindered.probe:
                continue
            self.free -= 1
            at = start_at(each)
            if at > self.now and not (each.problem is not None and freed):
                self.times.append(at)
            else:
                self.restarts.append(each.trial.number)
        if hindered.any:
            return []
        return self._create(tally, search) if end is None else self._create_final(tally)

    def _create(self, tally: Tally, search: Search) -> list[Trial]:
        created: list[Trial] = []
        left = room(self.spec, search)
        number = self._next_number()
        while self.free > 0 and (left is None or len(created) < left) and number in self.snapshot.suggestions:
            suggestion = self.snapshot.suggestions[number]
            self.starts += [CreateTrial(number, Role.SEARCH, suggestion), StartRun(number, 0)]
            created.append(Trial(number, Role.SEARCH, suggestion, created_at=self.now))
            self.free -= 1
            number += 1
        return created

    def _create_final(self, tally: Tally) -> list[Trial]:
        """Only when every result of the search stands in the ledger, so that the best cannot change behind it."""
        suggestion = final_run.suggestion(tally)
        if (
            self.view.final is not None
            or self.opens
            or suggestion is None
            or not final_run.wanted(self.spec)
            or self.free <= 0
        ):
            return []
        number = self._next_number()
        self.final_actions = [CreateTrial(number, Role.FINAL, suggestion), StartRun(number, 0)]
        return [Trial(number, Role.FINAL, suggestion, created_at=self.now)]

    # What is written.

    def _write(self, end: End | None, tally: Tally, search: Search, hindered: Hindrances, created: list[Trial]) -> Plan:
        actions = self._actions()
        settled = end is not None and not self.opens and not created and self._final_done(tally)
        active = self.view.live > 0 or bool(actions) or not settled
        projection = Projection(
            snapshot=self.snapshot,
            now=self.now,
            tally=tally,
            end=end,
            hindered=hindered,
            opens=list(self.opens.values()),
            created=created,
            starting=frozenset(self.restarts),
            final=self._final(created),
            settled=settled,
            total=search.total + sum(1 for trial in created if trial.role is Role.SEARCH),
            recorded=self.view.recorded,
            results=[trial for trial, _ in self.results],
            live=self.view.live,
        )
        status = project(projection)
        return Plan(
            actions=actions,
            status=status,
            suggest=()
            if end is not None or self.spec.suspend or self.snapshot.invalid
            else self._suggest(search, created),
            requeue_after=self._requeue_after(tally, search, hindered, end) if active else None,
            events=events_of(self.snapshot.previous_status, status, tally),
            finished=not active,
        )

    def _actions(self) -> tuple[Action, ...]:
        first: list[Action] = []
        marks: list[Action] = []
        for number, each in self.opens.items():
            trial, changed = each.trial, _changed(self.before[number], each.trial)
            record = RecordAttempt(
                number,
                trial.recorded_state,
                trial.attempt,
                trial.retries,
                trial.disruptions,
                trial.accelerator_seconds,
                trial.started_at,
            )
            if number in self.restarts:
                first += [record, StartRun(number, trial.attempt)] if changed else [StartRun(number, trial.attempt)]
            elif changed:
                marks.append(record)
        results = [
            RecordResult(
                trial.number,
                trial.attempt if run is None else run.attempt,
                trial.result,
                trial.retries,
                trial.disruptions,
                trial.accelerator_seconds,
                trial.started_at,
                self.now if trial.ended_at is None else trial.ended_at,
            )
            for trial, run in self.results
            if trial.result is not None
        ]
        return (*self.starts, *first, *self.stops, *results, *marks, *self.final_actions)

    def _final(self, created: list[Trial]) -> Trial | None:
        """The final run as it stands after this plan."""
        candidates = [each.trial for each in self.opens.values()] + [trial for trial, _ in self.results] + created
        return next((trial for trial in candidates if trial.role is Role.FINAL), self.view.final)

    def _final_done(self, tally: Tally) -> bool:
        final = self._final([])
        if not final_run.wanted(self.spec) or tally.best is None:
            return True
        return final is not None and final.result is not None

    def _suggest(self, search: Search, created: list[Trial]) -> tuple[int, ...]:
        """Numbers for the free slots and for as many as may free at once, as far as the budget goes."""
        left = room(self.spec, search)
        count = max(0, self.free) + min(self.spec.limits.parallel, LOOK_AHEAD_MAX)
        if left is not None:
            count = min(count, left - len(created))
        first = self._next_number() + len(created)
        return tuple(range(first, first + max(0, count)))

    def _requeue_after(self, tally: Tally, search: Search, hindered: Hindrances, end: End | None) -> float:
        times = [*self.times, self.now + REREAD]
        if hindered.look_again_at is not None:
            times.append(hindered.look_again_at)
        if end is None:
            running = sum(
                1
                for each in self.opens.values()
                if each.live and each.run is not None and each.run.started_at is not None
            )
            limit = next_limit(
                self.spec,
                tally,
                now=self.now,
                spending=running * accelerators(self.spec),
                live_seconds=search.live_seconds,
            )
            if limit is not None:
                times.append(limit)
        return max(0.0, min(times) - self.now)


def _changed(before: Trial, after: Trial) -> bool:
    return (
        before.recorded_state,
        before.attempt,
        before.retries,
        before.disruptions,
        before.accelerator_seconds,
        before.started_at,
    ) != (
        after.recorded_state,
        after.attempt,
        after.retries,
        after.disruptions,
        after.accelerator_seconds,
        after.started_at,
    )
