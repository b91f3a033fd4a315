"""Builders for studies as they are seen: `a_study().with_trials(succeeded(0.9), running()).plan()`.

A trial is described by what became of it; numbers follow the order. Times are seconds since `T0`, so a test reads as a
story.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.decide import decide
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
    StartProblem,
    StartRun,
    StopRun,
    Study,
    Trial,
)
from tuning_operator.search.types import Suggestion
from tuning_trial.report import Best, Failure, Report

T0 = 1_700_000_000.0

Described = Callable[[int], tuple[Trial, tuple[Run, ...]]]


def a_spec(**changes: Any) -> StudySpec:
    """Nested keys by double underscore: `limits__trials=3`."""
    spec: dict[str, Any] = {
        "objectives": [{"metric": "accuracy", "goal": "Maximize"}],
        "parameters": [{"name": "x", "float": {"min": 0, "max": 1}}],
        "algorithm": {"name": "Random"},
        "limits": {"trials": 10, "parallel": 2},
        "trial": {"trainer": {}},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = spec
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return StudySpec.model_validate(spec)


@dataclass(frozen=True)
class Scene:
    """A snapshot in the making; `at` is the time of the decision."""

    snapshot: Snapshot
    now: float = T0 + 100.0

    def with_trials(self, *described: Described) -> Scene:
        trials, runs = [], []
        for number, describe in enumerate(described, start=len(self.snapshot.trials)):
            trial, seen = describe(number)
            trials.append(trial)
            runs += seen
        return self._with(trials=self.snapshot.trials + tuple(trials), runs=self.snapshot.runs + tuple(runs))

    def with_suggestions(self, count: int = 20) -> Scene:
        first = len(self.snapshot.trials)
        return self._with(suggestions={number: a_suggestion(number) for number in range(first, first + count)})

    def without_suggestions(self) -> Scene:
        return self._with(suggestions={})

    def with_problem(
        self, trial: int, reason: str, *, since: float = 0.0, attempt: int = 0, tried: float | None = None
    ) -> Scene:
        tried_at = None if tried is None else T0 + tried
        problem = StartProblem(trial, attempt, reason, f"{reason}!", T0 + since, tried_at)
        return self._with(problems=(*self.snapshot.problems, problem))

    def with_status(self, status: Any) -> Scene:
        return self._with(previous_status=status)

    def invalid(self, *errors: str) -> Scene:
        return self._with(invalid=errors)

    def without_its_kind(self, why: str) -> Scene:
        return self._with(absence=why)

    def exhausted(self) -> Scene:
        return self._with(exhausted=True)

    def stuck(self, why: str) -> Scene:
        return self._with(stuck=why)

    def deleting(self) -> Scene:
        return self._with(study=replace(self.snapshot.study, deleting=True))

    def with_only_runs(self, *runs: Run) -> Scene:
        return self._with(runs=runs)

    def without_trial(self, number: int) -> Scene:
        return self._with(trials=tuple(trial for trial in self.snapshot.trials if trial.number != number))

    def gone_on(self) -> Scene:
        """Every trial went on to its next attempt, and the run of the one before is still seen."""
        trials = (
            replace(trial, attempt=trial.attempt + 1, recorded_state=TrialState.PENDING)
            for trial in self.snapshot.trials
        )
        return self._with(trials=tuple(trials))

    def edited(self, **changes: Any) -> Scene:
        study = self.snapshot.study
        return self._with(study=replace(study, spec=a_spec(**changes), generation=study.generation + 1))

    def at(self, seconds: float) -> Scene:
        return replace(self, now=T0 + seconds)

    def plan(self) -> Plan:
        return decide(self.snapshot, self.now)

    def _with(self, **changes: Any) -> Scene:
        return replace(self, snapshot=replace(self.snapshot, **changes))


def a_study(**changes: Any) -> Scene:
    return Scene(Snapshot(Study("ns", "digits", "uid-1", 1, a_spec(**changes), created_at=T0))).with_suggestions()


def a_suggestion(number: int) -> Suggestion:
    return Suggestion({"x": round((number * 0.37) % 1, 3)}, by="Random", known=0, reason="random")


# What became of a trial. Each attempt began at 0 and, if it ended, ended at `ended`.


def pending(**changes: Any) -> Described:
    """Created; nothing of it runs."""
    return lambda number: (_trial(number, **changes), ())


def waiting(reason: str = "", *, since: float = 0.0, **changes: Any) -> Described:
    """Its Job is there, its container is not."""
    message = f"{reason}!" if reason else ""
    return _running(RunState.WAITING, created_at=T0 + since, started_at=None, reason=reason, message=message, **changes)


def running(*, since: float = 0.0, recorded: bool = True, report: Report | None = None, **changes: Any) -> Described:
    if recorded:
        changes = {"recorded_state": TrialState.RUNNING} | changes
    return _running(RunState.RUNNING, started_at=T0 + since, report=report, **changes)


def stopping(**changes: Any) -> Described:
    changes = {"recorded_state": TrialState.RUNNING} | changes
    return _running(RunState.STOPPING, started_at=T0, **changes)


def ended(
    code: int | None = 0,
    *,
    ended: float = 90.0,
    report: Report | None = None,
    reason: str = "",
    message: str = "",
    disrupted: bool = False,
    unread: bool = False,
    **changes: Any,
) -> Described:
    """Its run is over, and nobody has recorded it yet."""
    changes = {"recorded_state": TrialState.RUNNING} | changes
    return _running(
        RunState.ENDED,
        started_at=T0,
        ended_at=T0 + ended,
        exit_code=code,
        report=report,
        reason=reason,
        message=message,
        disrupted=disrupted,
        unread=unread,
        **changes,
    )


def vanished(**changes: Any) -> Described:
    """It was seen running, and now there is nothing."""
    changes = {"recorded_state": TrialState.RUNNING, "started_at": T0} | changes
    return pending(**changes)


def succeeded(
    value: float, *, ended: float = 50.0, metrics: dict[str, float] | None = None, **changes: Any
) -> Described:
    result = Result(
        TrialState.SUCCEEDED, "Completed", values={"accuracy": value}, metrics=metrics or {"accuracy": value}, step=10
    )
    return recorded(result, ended=ended, **changes)


def failed(reason: str = "NonZeroExit", *, ended: float = 50.0, infeasible: bool = False, **changes: Any) -> Described:
    result = Result(TrialState.FAILED, reason, f"{reason}!", infeasible=infeasible)
    return recorded(result, ended=ended, **changes)


def was_stopped(reason: str, *, ended: float = 50.0) -> Described:
    return recorded(Result(TrialState.STOPPED, reason), ended=ended)


def recorded(result: Result, *, ended: float = 50.0, **changes: Any) -> Described:
    changes = {
        "recorded_state": result.state,
        "result": result,
        "started_at": T0,
        "ended_at": T0 + ended,
        "accelerator_seconds": ended,
    } | changes
    return lambda number: (_trial(number, **changes), ())


def a_report(value: float | None = 0.9, *, done: bool = True, error: Failure | None = None, **metrics: float) -> Report:
    """Of an accuracy, if `value` is given, and of other metrics."""
    own = {} if value is None else {"accuracy": value}
    best = {} if value is None or not math.isfinite(value) else {"accuracy": Best(value, 10)}
    return Report(step=10, steps=10, final=own | metrics, best=best, done=done, error=error)


def _running(state: RunState, **changes: Any) -> Described:
    of_run = {key: changes.pop(key) for key in list(changes) if key in Run.__dataclass_fields__ and key != "attempt"}
    if "started_at" in of_run and changes.get("recorded_state") is TrialState.RUNNING:
        changes.setdefault("started_at", of_run["started_at"])

    def describe(number: int) -> tuple[Trial, tuple[Run, ...]]:
        trial = _trial(number, **changes)
        return trial, (Run(number, trial.attempt, state, **({"created_at": T0} | of_run)),)

    return describe


def _trial(number: int, **changes: Any) -> Trial:
    role = changes.pop("role", Role.SEARCH)
    return replace(Trial(number, role, a_suggestion(number), created_at=T0), **changes)


# The world after a plan: what `act` would leave.


@dataclass
class Doing:
    """Carries plans out on snapshots, as the simplest of worlds: Jobs wait for ever, deleted ones are gone at once, or
    are seen stopping for ever."""

    scene: Scene
    vanish: bool = True
    done: list[Action] = field(default_factory=list)

    def apply(self, actions: tuple[Action, ...], *, seconds: float = 0.1) -> None:
        for action in actions:
            self.done.append(action)
            self._apply(action)
        self.scene = replace(self.scene, now=self.scene.now + seconds)

    def _apply(self, action: Action) -> None:
        snapshot, now = self.scene.snapshot, self.scene.now
        trials = {trial.number: trial for trial in snapshot.trials}
        runs = {(run.trial, run.attempt): run for run in snapshot.runs}
        match action:
            case CreateTrial(number, role, suggestion):
                assert number not in trials, f"trial {number} is created twice"
                trials[number] = Trial(number, role, suggestion, created_at=now)
            case StartRun(number, attempt):
                assert trials[number].attempt == attempt
                runs.setdefault((number, attempt), Run(number, attempt, RunState.WAITING, created_at=now))
            case StopRun(number, attempt):
                run = runs.pop((number, attempt), None)
                if run is not None and not self.vanish:
                    runs[number, attempt] = replace(run, state=RunState.STOPPING)
            case RecordAttempt():
                assert trials[action.trial].result is None
                trials[action.trial] = replace(
                    trials[action.trial],
                    recorded_state=action.state,
                    attempt=action.attempt,
                    retries=action.retries,
                    disruptions=action.disruptions,
                    accelerator_seconds=action.accelerator_seconds,
                    started_at=action.started_at,
                    rungs=action.rungs,
                    replicates=action.replicates,
                )
            case RecordResult():
                assert trials[action.trial].result is None, f"trial {action.trial} gets a second result"
                trials[action.trial] = replace(
                    trials[action.trial],
                    recorded_state=action.result.state,
                    result=action.result,
                    retries=action.retries,
                    disruptions=action.disruptions,
                    accelerator_seconds=action.accelerator_seconds,
                    started_at=action.started_at,
                    rungs=action.rungs,
                    replicates=action.replicates,
                    ended_at=action.ended_at,
                )
        self.scene = self.scene._with(
            trials=tuple(trials[number] for number in sorted(trials)),
            runs=tuple(runs.values()),
            suggestions={number: made for number, made in snapshot.suggestions.items() if number not in trials},
        )
