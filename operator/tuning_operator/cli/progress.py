"""A running study as rows for a person: what the table and the lines have in common. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tuning_operator.api.study import Goal
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Run, RunState, Trial
from tuning_operator.local.runner import Scene


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    role: Role
    state: str
    parameters: Mapping[str, Any]
    done: float | None
    """Share of the planned steps, 0 to 1."""
    current: float | None
    """Last value of the first objective."""
    best: float | None
    seconds: float | None
    is_best: bool
    note: str = ""
    rung: int | None = None
    """The last budget at which it was looked at, with a multi-fidelity scheduler."""


def rows(scene: Scene) -> list[Row]:
    best = scene.status.get("best", {}).get("number")
    return [_row(scene, trial, scene.runs.get(trial.number), trial.number == best) for trial in scene.trials]


def seconds_left(scene: Scene) -> float | None:
    """From the trials so far; None while nothing is known or the number of trials is open."""
    search = [trial for trial in scene.trials if trial.role is Role.SEARCH]
    took = [
        trial.ended_at - trial.started_at
        for trial in scene.trials
        if trial.ended_at is not None and trial.started_at is not None and trial.result is not None
        if trial.result.state is TrialState.SUCCEEDED
    ]
    limit = scene.study.spec.limits.trials
    if limit is None or not took:
        return None
    each = fmean(took)
    to_come = max(0, limit - len(search)) * each
    for trial in search:
        run = scene.runs.get(trial.number)
        if trial.result is None:
            spent = scene.now - run.started_at if run is not None and run.started_at is not None else 0.0
            to_come += max(0.0, each - spent)
    final = scene.study.spec.final
    last = each if final is not None and final.retrain and not any(t.role is Role.FINAL for t in scene.trials) else 0.0
    return to_come / max(1, scene.parallel) + last


def finished(scene: Scene) -> int:
    return sum(1 for trial in scene.trials if trial.result is not None and trial.role is Role.SEARCH)


def _row(scene: Scene, trial: Trial, run: Run | None, is_best: bool) -> Row:
    objective = scene.study.spec.objectives[0]
    report = run.report if run is not None else None
    result = trial.result
    row = Row(
        number=trial.number,
        role=trial.role,
        state=_state(trial, run),
        parameters=trial.suggestion.parameters,
        done=None,
        current=None,
        best=None,
        seconds=_seconds(trial, run, scene.now),
        is_best=is_best,
        rung=trial.rungs[-1].budget if trial.rungs else None,
    )
    if result is not None:
        value = result.values.get(objective.metric, result.metrics.get(objective.metric, _at_rung(trial, scene)))
        note = result.reason if result.state is not TrialState.SUCCEEDED or result.infeasible else ""
        done = 1.0 if result.state is TrialState.SUCCEEDED else None
        return replace(row, done=done, current=value, best=value, note=note)
    if report is None:
        return replace(row, best=_at_rung(trial, scene))
    reported = report.best.get(objective.metric)
    current = report.final.get(objective.metric)
    return replace(
        row,
        done=min(1.0, report.step / report.steps) if report.steps else None,
        current=current,
        best=reported.value if reported is not None else current,
    )


def _at_rung(trial: Trial, scene: Scene) -> float | None:
    """What it reached at its last rung."""
    return trial.rungs[-1].values.get(scene.study.spec.objectives[0].metric) if trial.rungs else None


def _state(trial: Trial, run: Run | None) -> str:
    if trial.result is not None:
        return trial.result.state.value
    if run is None:
        waiting = trial.recorded_state is TrialState.PAUSED
        return TrialState.PAUSED.value if waiting else TrialState.PENDING.value
    return "Stopping" if run.state is RunState.STOPPING else TrialState.RUNNING.value


def _seconds(trial: Trial, run: Run | None, now: float) -> float | None:
    if trial.result is not None:
        return None if trial.started_at is None or trial.ended_at is None else trial.ended_at - trial.started_at
    return None if run is None or run.started_at is None else max(0.0, now - run.started_at)


def better(goal: Goal, value: float, than: float | None) -> bool:
    return than is None or (value > than if goal is Goal.MAXIMIZE else value < than)
