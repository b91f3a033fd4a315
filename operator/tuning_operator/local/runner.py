"""The loop of a local study: gather -> decide -> act, as in the cluster, woken by whatever happens.

It decides nothing of its own. An interruption is a suspension: the core stops the trials, they save checkpoints, and
the next run goes on with them as after any other loss of an attempt.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from tuning_operator.api.study import StudySpec
from tuning_operator.core.decide import decide
from tuning_operator.core.history import told
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import (
    CreateTrial,
    Plan,
    RecordAttempt,
    RecordResult,
    Run,
    RunState,
    Snapshot,
    StartProblem,
    StartRun,
    StopRun,
    Study,
    Trial,
)
from tuning_operator.core.rungs import budgets
from tuning_operator.local.command import command_for
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.machine import GpuPool, Machine, threads_environment
from tuning_operator.local.printed import printed_report
from tuning_operator.local.processes import Key, Processes, StartError
from tuning_operator.local.retention import kept, parent_of, removable
from tuning_operator.search.lookahead import Inputs, LookAhead
from tuning_operator.search.suggest import problem
from tuning_operator.search.warmstart import Learned

LOOK = 0.5
"""Seconds between two looks at the reports of running trials. Ends of processes wake the loop at once."""
GLANCE = 0.05
"""Seconds between two glances at whether a trial has reached a rung: what follows from it should follow soon."""
REFRESH = 0.02
"""Seconds between two looks for a suggestion that is being made again: new ones wake the loop, renewed ones do not."""


class Outcome(StrEnum):
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"
    INTERRUPTED = "Interrupted"


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see now."""

    study: Study
    trials: tuple[Trial, ...]
    runs: Mapping[int, Run]
    """Of the current attempt, by trial."""
    status: Mapping[str, Any]
    parallel: int
    now: float


class Observer(Protocol):
    """Shows a person what happens. Must return soon: it is called from the loop."""

    def update(self, scene: Scene) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a study runs on this machine."""

    machine: Machine
    directory: Path
    """Where commands run: the study file's directory."""
    environment: Mapping[str, str]
    parallel: int | None = None
    """Asked for on the command line; None: the study's, as far as the machine carries it."""


class Runner:
    """Runs one study whose ledger is open and locked. `interrupt` may be called from a signal handler."""

    def __init__(
        self,
        ledger: Ledger,
        setting: Setting,
        observer: Observer,
        *,
        reread: Callable[[], StudySpec | None],
        earlier: Learned | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`reread` gives the study file's spec if the file changed and is good; `earlier`: what other studies teach."""
        self._ledger = ledger
        self._setting = setting
        self._observer = observer
        self._reread = reread
        self._earlier = earlier or Learned()
        self._clock = clock
        self._wake = threading.Event()
        self._processes = Processes(wake=self._wake.set, clock=clock, gpus=GpuPool(setting.machine.gpus))
        self._suggestions = LookAhead(on_ready=lambda _: self._wake.set())
        self._problems: dict[int, StartProblem] = {}
        self._memo = Memo()
        self._held_back = False
        self._pruned: set[int] = set()
        self._interruptions = 0
        self._told = False
        self._search_problem: str | None = None
        self._asked: object = None

    def interrupt(self) -> None:
        """Once: trials are asked to stop and save. Twice: they are killed."""
        self._interruptions += 1
        self._wake.set()

    def run(self) -> Outcome:
        self._find_what_an_earlier_run_left()
        try:
            while True:
                self._wake.clear()
                self._take_over_edits()
                self._heed_interruptions()
                deadline = self._processes.enforce()
                snapshot = self._gather()
                plan = decide(snapshot, self._clock(), memo=self._memo)
                self._act(plan, snapshot)
                outcome = self._outcome(plan)
                self._tell_problems()
                self._show(snapshot.study, plan)
                if outcome is not None:
                    return outcome
                if not _changes(plan):
                    self._sleep(self._pause(plan, deadline))
        except BaseException:
            self._processes.abandon()
            raise
        finally:
            self._suggestions.close(timeout=0)

    def _gather(self) -> Snapshot:
        trials = self._ledger.trials
        study = replace(self._ledger.study, spec=self._spec())
        snapshot = Snapshot(
            study=study,
            trials=trials,
            runs=tuple(run for key in self._processes.known() if (run := self._processes.run(key)) is not None),
            suggestions=self._suggestions.ready(study.uid),
            exhausted=self._suggestions.exhausted(study.uid),
            stuck=self._suggestions.stuck(study.uid),
            earlier=self._earlier.observations,
            learned=self._earlier.notes,
            problems=tuple(self._problems.values()),
            previous_status=self._ledger.status,
        )
        known = snapshot if study.spec.limits.parallel > 1 else _one_after_the_other(snapshot, self._memo)
        self._held_back = len(known.suggestions) < len(snapshot.suggestions)
        return known

    def _act(self, plan: Plan, snapshot: Snapshot) -> None:
        now = self._clock()
        for action in plan.actions:
            match action:
                case CreateTrial(number, role, suggestion):
                    self._ledger.create(Trial(number, role, suggestion, created_at=now))
                case StartRun(trial, attempt):
                    self._start((trial, attempt), snapshot.study, now=now)
                case StopRun(trial, attempt):
                    self._processes.stop((trial, attempt))
                case RecordAttempt():
                    self._ledger.record_attempt(action)
                case RecordResult():
                    self._ledger.record_result(action)
        self._forget_what_is_recorded()
        self._remove_checkpoints(snapshot.study.spec, plan.status)
        self._suggest(plan, snapshot)
        if not self._interruptions and plan.status != self._ledger.status:
            self._ledger.write_status(dict(plan.status))

    def _start(self, key: Key, study: Study, *, now: float) -> None:
        trial = next(trial for trial in self._ledger.trials if trial.number == key[0])
        files = self._ledger.files(*key, replicate=len(trial.replicates))
        files.prepare()
        parent = parent_of(study.spec, trial)
        machine = self._setting.machine
        host = dict(self._setting.environment)
        host.update(threads_environment(machine.cpus, study.spec.limits.parallel, host))
        try:
            command = command_for(
                study,
                replace(trial, attempt=key[1]),
                files=files,
                directory=self._setting.directory,
                host=host,
                gpus=study.spec.trial.accelerator.count,
                parent=None if parent is None else self._ledger.files(parent, 0).checkpoint,
            )
            printed = printed_report(files.log, study.spec, budgets(study.spec, trial))
            self._processes.start(key, command, files, printed=printed)
            self._problems.pop(key[0], None)
        except StartError as error:
            since = self._problems[key[0]].since if key[0] in self._problems else now
            self._problems[key[0]] = StartProblem(*key, error.reason, error.message, since, tried_at=now)

    def _tell_problems(self) -> None:
        problem = self._suggestions.problem(self._ledger.study.uid)
        if problem is not None and problem != self._search_problem:
            self._observer.note(f"no suggestion can be made at the moment: {problem}")
        self._search_problem = problem

    def _suggest(self, plan: Plan, snapshot: Snapshot) -> None:
        trials = self._ledger.trials
        results = sum(1 for trial in trials if trial.result is not None)
        rungs = sum(len(trial.rungs) for trial in trials)
        asked = (plan.suggest, results, rungs, len(trials), snapshot.study.generation)
        if asked == self._asked:
            return
        self._asked = asked
        known = told(replace(snapshot, trials=trials), memo=self._memo)
        inputs = Inputs(
            problem=problem(snapshot.study.spec, study_uid=snapshot.study.uid),
            history=known.history,
            running=known.running,
        )
        self._suggestions.request(snapshot.study.uid, inputs, plan.suggest)

    def _spec(self) -> StudySpec:
        """The study's spec as this machine can serve it, and suspended while a person interrupts."""
        spec = self._ledger.study.spec
        setting = self._setting
        wanted = spec.trial.accelerator.count
        parallel = setting.parallel or min(spec.limits.parallel, setting.machine.most_parallel(wanted))
        gpus = setting.machine.gpus_per_trial(wanted)
        return spec.model_copy(
            update={
                "limits": spec.limits.model_copy(update={"parallel": parallel, "queued": 0}),
                "trial": spec.trial.model_copy(
                    update={"accelerator": spec.trial.accelerator.model_copy(update={"count": gpus})}
                ),
                "metrics": spec.metrics.model_copy(update={"wait_seconds": 0}),
                "suspend": spec.suspend or self._interruptions > 0,
            }
        )

    def _outcome(self, plan: Plan) -> Outcome | None:
        if self._processes.live() or _changes(plan):
            return None
        if self._interruptions:
            return Outcome.INTERRUPTED
        state = str(plan.status.get("state", ""))
        if plan.finished or state in (Outcome.STALLED, Outcome.SUSPENDED):
            return Outcome(state)
        return None

    def _pause(self, plan: Plan, deadline: float | None) -> float:
        waits = [REFRESH if self._held_back and not self._processes.live() else LOOK]
        if plan.requeue_after is not None:
            waits.append(plan.requeue_after)
        if deadline is not None:
            waits.append(deadline - self._clock())
        return max(0.0, min(waits))

    def _sleep(self, seconds: float) -> None:
        until = self._clock() + seconds
        glances = self._ledger.study.spec.fidelity is not None
        while (left := until - self._clock()) > 0:
            if self._wake.wait(min(left, GLANCE) if glances else left) or (glances and self._processes.news()):
                return

    def _remove_checkpoints(self, spec: StudySpec, status: Mapping[str, Any]) -> None:
        trials, live = self._ledger.trials, {trial for trial, _ in self._processes.live()}
        gone = set(removable(spec, trials, status)) - self._pruned - live
        for trial in trials:
            if trial.number in gone:
                self._pruned.add(trial.number)
                self._ledger.prune_checkpoint(trial.number, keep=kept(trial))

    def _heed_interruptions(self) -> None:
        if self._interruptions > 1:
            self._processes.kill_all()
        elif self._interruptions == 1 and not self._told and self._processes.live():
            self._told = True
            self._observer.note("stopping: trials save their checkpoints; a second Ctrl-C kills them")

    def _take_over_edits(self) -> None:
        spec = self._reread()
        try:
            if spec is not None and self._ledger.edit(spec):
                self._observer.note("the study file was edited; its new limits hold from now on")
        except LedgerError as error:
            self._observer.note(f"the edited study is not taken over: {error}")

    def _find_what_an_earlier_run_left(self) -> None:
        for trial in self._ledger.trials:
            rungs = budgets(self._ledger.study.spec, trial)
            for attempt in range(trial.attempt + 1):
                files = self._ledger.files(trial.number, attempt)
                if (attempt == trial.attempt and trial.result is None) or files.alive():
                    printed = printed_report(files.log, self._ledger.study.spec, rungs)
                    self._processes.find((trial.number, attempt), files, printed=printed)

    def _forget_what_is_recorded(self) -> None:
        current = {trial.number: trial for trial in self._ledger.trials}
        live = set(self._processes.live())
        for number, attempt in self._processes.known():
            trial = current[number]
            # The attempt before the current one is kept: how it ended decides when the current one may start.
            if (number, attempt) not in live and (trial.result is not None or attempt < trial.attempt - 1):
                self._processes.forget((number, attempt))

    def _show(self, study: Study, plan: Plan) -> None:
        trials = self._ledger.trials
        runs = {trial.number: self._processes.run((trial.number, trial.attempt)) for trial in trials}
        self._observer.update(
            Scene(
                study=study,
                trials=trials,
                runs={
                    number: run for number, run in runs.items() if run is not None and run.state is not RunState.ENDED
                },
                status=plan.status,
                parallel=study.spec.limits.parallel,
                now=self._clock(),
            )
        )


def _one_after_the_other(snapshot: Snapshot, memo: Memo) -> Snapshot:
    """One trial at a time: each suggestion shall know every result before it, which makes the study repeatable.

    Several at once fill a free slot at once, with what was suggested before the last result.
    """
    unrecorded = any(run.state is RunState.ENDED and not _recorded(run, snapshot.trials) for run in snapshot.runs)
    results = len(told(snapshot, memo=memo).history)
    fresh = {number: made for number, made in snapshot.suggestions.items() if made.known == results and not unrecorded}
    return replace(
        snapshot, suggestions=fresh, exhausted=snapshot.exhausted and len(fresh) == len(snapshot.suggestions)
    )


def _recorded(run: Run, trials: Sequence[Trial]) -> bool:
    trial = trials[run.trial]
    return trial.result is not None or run.attempt < trial.attempt


def _changes(plan: Plan) -> bool:
    return bool(plan.actions)
