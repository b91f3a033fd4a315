"""A running study as the displays see it."""

from typing import Any

from tests.unit.local.builders import a_study, a_trial
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Result, Run, RunState, Trial
from tuning_operator.local.runner import Scene
from tuning_trial.report import Best, Report


def ended(number: int, *, loss: float | None = 0.5, state: TrialState = TrialState.SUCCEEDED, **more: Any) -> Trial:
    values = {} if loss is None else {"loss": loss}
    result = Result(state, more.pop("reason", "Completed"), more.pop("message", ""), values=values, metrics=values)
    trial = a_trial(number, role=more.pop("role", Role.SEARCH), lr=0.1 * (number + 1))
    return Trial(
        number, trial.role, trial.suggestion, 1000.0, started_at=1000.0, ended_at=1010.0, result=result, **more
    )


def running(number: int, *, step: int = 5, steps: int | None = 10, loss: float = 0.7) -> tuple[Trial, Run]:
    report = Report(step=step, steps=steps, final={"loss": loss}, best={"loss": Best(loss - 0.1, step - 1)})
    run = Run(number, 0, RunState.RUNNING, created_at=1010.0, started_at=1010.0, report=report)
    return a_trial(number, lr=0.25), run


def a_scene(*trials: Trial, runs: tuple[Run, ...] = (), best: int | None = None, now: float = 1015.0) -> Scene:
    status: dict[str, Any] = {"state": "Running", "algorithm": {"name": "TPE", "reason": "a model learns"}}
    chosen = next((trial for trial in trials if trial.number == best and trial.result is not None), None)
    if chosen is not None and chosen.result is not None:
        status["best"] = {"number": best, "values": dict(chosen.result.values), "parameters": {}}
    return Scene(a_study(), trials, {run.trial: run for run in runs}, status, parallel=2, now=now)
