"""One study in every state that it can be in, with the status that the core gives it.

    python -m tests.statuses --write

records them in tests/data/statuses/. The recordings are what Argo CD's health script and kstatus are tried on, and what
a reader may look at; a test holds them to what the core says today.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tuning_operator.api.crd import UNSEEN
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.decide import decide
from tuning_operator.core.model import Result, Run, RunState, Snapshot, StartProblem, Study, Trial
from tuning_operator.search.types import Suggestion
from tuning_trial.report import Report

RECORDINGS = Path(__file__).parent / "data" / "statuses"
NOW = 1_800_000_000.0
SPEC: dict[str, Any] = {
    "objectives": [{"metric": "val_accuracy", "goal": "Maximize"}],
    "parameters": [{"name": "optimizer.lr", "float": {"min": 0.001, "max": 0.1, "scale": "Log"}}],
    "algorithm": {"name": "TPE"},
    "limits": {"trials": 4, "parallel": 2, "failures": 1},
    "trial": {"trainer": {}},
    "final": {"retrain": True, "evaluate": "Test"},
}


def a_snapshot(**changes: Any) -> Snapshot:
    """Of a study with nothing yet; `changes` are changed fields of its spec."""
    spec = StudySpec.model_validate(SPEC | changes)
    study = Study("research", "digits", "0f4b0b2e-6b7c-4c56-9f5e-2d1c8f1f7a10", 1, spec, NOW - 600)
    return Snapshot(study=study, suggestions={number: suggested(number) for number in range(4)})


def suggested(number: int) -> Suggestion:
    return Suggestion({"optimizer.lr": 0.001 * (number + 1)}, by="TPE", known=0, reason="random start")


def ended(number: int, state: TrialState = TrialState.SUCCEEDED, *, role: Role = Role.SEARCH, **said: Any) -> Trial:
    values = {"val_accuracy": 0.9 + number / 100} if state is TrialState.SUCCEEDED else {}
    result = Result(state, said.pop("reason", "Completed"), values=values, metrics=said.pop("metrics", values), **said)
    began = NOW - 500 + 60 * number
    times: dict[str, Any] = {"created_at": began, "started_at": began, "ended_at": began + 50}
    return Trial(number, role, suggested(number), accelerator_seconds=50, result=result, recorded_state=state, **times)


def waits(number: int) -> tuple[Trial, Run]:
    return Trial(number, Role.SEARCH, suggested(number), NOW - 200), Run(number, 0, RunState.WAITING, NOW - 200)


def runs(number: int, role: Role = Role.SEARCH) -> tuple[Trial, Run]:
    trial = Trial(number, role, suggested(number), NOW - 30, started_at=NOW - 20, recorded_state=TrialState.RUNNING)
    return trial, Run(number, 0, RunState.RUNNING, NOW - 30, started_at=NOW - 20, report=Report(step=3, steps=9))


def with_trials(snapshot: Snapshot, *trials: Trial | tuple[Trial, Run]) -> Snapshot:
    """The snapshot with these trials, those that are not over with their runs."""
    pairs = [each if isinstance(each, tuple) else (each, None) for each in trials]
    seen = tuple(run for _, run in pairs if run is not None)
    return replace(snapshot, trials=tuple(trial for trial, _ in pairs), runs=seen)


def failed(number: int) -> Trial:
    message = "exit code 1: CUDA error: no kernel image is available"
    return ended(number, TrialState.FAILED, reason="NonZeroExit", message=message)


def final(state: TrialState, **said: Any) -> Trial:
    return ended(4, state, role=Role.FINAL, **said)


def refused(snapshot: Snapshot, reason: str, message: str) -> Snapshot:
    trial, _ = waits(0)
    return replace(snapshot, trials=(trial,), problems=(StartProblem(0, 0, reason, message, NOW - 100, NOW - 1),))


def stuck_image() -> Snapshot:
    trial, run = waits(0)
    run = replace(run, reason="ImagePullBackOff", message='pull "tuning-operator/trainer:0.1.1": not found')
    return with_trials(a_snapshot(), (trial, run))


def four() -> list[Trial]:
    return [ended(number) for number in range(4)]


TEST = {"metrics": {"test_accuracy": 0.973}}
STATES: dict[str, Callable[[], Snapshot | None]] = {
    "just-applied": lambda: None,
    "starting": lambda: replace(a_snapshot(), suggestions={}),
    "running": lambda: with_trials(a_snapshot(), ended(0), failed(1), runs(2), runs(3)),
    "waiting-for-quota": lambda: refused(
        a_snapshot(), "QuotaExceeded", "exceeded quota: gpus, requested: 1, used: 8, limited: 8"
    ),
    "suspending": lambda: with_trials(a_snapshot(suspend=True), ended(0), runs(1)),
    "suspended": lambda: with_trials(a_snapshot(suspend=True), ended(0), ended(1)),
    "stalled-invalid-spec": lambda: replace(
        a_snapshot(), invalid=("spec.trial.trainer.optimizer.name: 'adamm' is no optimizer: write adam",)
    ),
    "stalled-forbidden": lambda: refused(a_snapshot(), "Forbidden", "hostPath volumes are not allowed"),
    "stalled-image": stuck_image,
    "finishing": lambda: with_trials(a_snapshot(), *four(), runs(4, Role.FINAL)),
    "succeeded": lambda: with_trials(a_snapshot(), *four(), final(TrialState.SUCCEEDED, **TEST)),
    "failed-too-many": lambda: with_trials(a_snapshot(final=None), ended(0), failed(1), failed(2)),
    "failed-without-success": lambda: with_trials(
        a_snapshot(limits={"trials": 2, "failures": 5}), failed(0), failed(1)
    ),
    "failed-final-run": lambda: with_trials(
        a_snapshot(), *four(), final(TrialState.FAILED, reason="OutOfMemory", message="exit code 43 (out of memory)")
    ),
}


def study_in(state: str) -> dict[str, Any]:
    """The whole object as the API server would show it."""
    metadata = {"name": "digits", "namespace": "research", "generation": 1}
    study = {"apiVersion": "tuning.study/v1alpha1", "kind": "TuningStudy", "metadata": metadata, "spec": SPEC}
    snapshot = STATES[state]()
    status = UNSEEN if snapshot is None else decide(snapshot, NOW).status
    return study | {"status": dict(status)}


def recording(state: str) -> str:
    return yaml.safe_dump(study_in(state), sort_keys=False, width=110)


def main() -> int:
    if sys.argv[1:] != ["--write"]:
        print((__doc__ or "").strip())
        return 2
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    for state in STATES:
        (RECORDINGS / f"{state}.yaml").write_text(recording(state))
    return 0


if __name__ == "__main__":
    sys.exit(main())
