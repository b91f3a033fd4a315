"""The status: a projection of the ledger in words a person and kstatus understand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.core.builders import (
    T0,
    Scene,
    a_report,
    a_study,
    ended,
    failed,
    pending,
    recorded,
    running,
    succeeded,
    waiting,
    was_stopped,
)
from tuning_operator.api.status import StudyStatus
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Result
from tuning_operator.core.naming import trial_name

FINAL = {"final": {"retrain": True}}

SCENES: dict[str, tuple[Scene, str, str]] = {
    "nothing yet": (a_study().without_suggestions(), "Pending", "InProgress"),
    "running": (a_study().with_trials(running(), succeeded(0.5)), "Running", "InProgress"),
    "suspended": (a_study(suspend=True).with_trials(pending()), "Suspended", "InProgress"),
    "stalled": (a_study().invalid("limits.trials: missing: write a number"), "Stalled", "Failed"),
    "finishing": (a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.5)), "Finishing", "InProgress"),
    "succeeded": (a_study(limits__trials=1).with_trials(succeeded(0.5)), "Succeeded", "Current"),
    "failed": (a_study(limits__trials=1).with_trials(failed()), "Failed", "Failed"),
}


@pytest.mark.parametrize("case", SCENES)
def test_state_and_kstatus(case: str) -> None:
    scene, state, kstatus = SCENES[case]
    status = status_of(scene)
    assert status["state"] == state
    assert _kstatus(status) == kstatus
    assert len(status["conditions"]) == 6


def test_counts_after_the_plan() -> None:
    scene = a_study(limits__parallel=3).with_trials(
        succeeded(0.5),
        failed(),
        was_stopped("TargetReached"),
        running(),
        waiting("ContainerCreating"),
        waiting("Unschedulable"),
    )
    assert status_of(scene)["counts"] == {
        "total": 6,
        "pending": 1,
        "running": 2,
        "paused": 0,
        "succeeded": 1,
        "failed": 1,
        "stopped": 1,
    }


def test_a_new_trial_costs_one_write_of_the_status() -> None:
    """Created and recorded in one plan, shown in one status; its container's start changes nothing in it."""
    scene = a_study(limits__parallel=1, limits__trials=2).with_trials(ended(0, report=a_report(0.5)))
    first = scene.plan()
    assert first.status["counts"] == {
        "total": 2,
        "pending": 0,
        "running": 1,
        "paused": 0,
        "succeeded": 1,
        "failed": 0,
        "stopped": 0,
    }
    later = a_study(limits__parallel=1, limits__trials=2).with_trials(
        succeeded(0.5, ended=90, accelerator_seconds=90.0)
    )
    for seen in (pending(), waiting(), waiting("ContainerCreating"), running(since=95)):
        assert later.with_trials(seen).with_status(first.status).plan().status == first.status


def test_nothing_in_it_moves_with_the_clock_alone() -> None:
    scene = a_study(limits__trials=3).with_trials(succeeded(0.5), running())
    status = scene.plan().status
    assert scene.with_status(status).at(5000).plan().status == status


def test_deleted_it_comes_back_the_same() -> None:
    scene = a_study(limits__trials=2, **FINAL).with_trials(
        succeeded(0.5), succeeded(0.9), succeeded(0.0, role=Role.FINAL, metrics={"test": 0.8})
    )
    assert scene.plan().status == scene.plan().status
    before = scene.at(100).plan().status
    again = scene.at(9000).plan().status
    assert _timeless(before) == _timeless(again)


def test_transition_times_are_kept_while_a_condition_stays() -> None:
    scene = a_study(limits__trials=1).with_trials(running())
    first = scene.at(100).plan().status
    done = a_study(limits__trials=1).with_trials(succeeded(0.9)).with_status(first).at(200).plan().status
    times = {c["type"]: c["lastTransitionTime"] for c in done["conditions"]}
    assert times["Failed"] == "2023-11-14T22:15:00Z"
    assert times["Ready"] == times["Succeeded"] == times["Reconciling"] == "2023-11-14T22:16:40Z"


def test_the_best_with_all_one_needs_to_use_it() -> None:
    result = Result(
        TrialState.SUCCEEDED,
        "Completed",
        values={"accuracy": 0.9},
        metrics={"accuracy": 0.9, "loss": 0.1},
        artifacts={"weights": "best.pt"},
    )
    scene = a_study(trial__checkpoints={"claimName": "models"}).with_trials(succeeded(0.5), recorded(result))
    status = status_of(scene)
    name = trial_name("digits", "uid-1", 1)
    assert status["best"] == {
        "trial": name,
        "number": 1,
        "parameters": {"x": 0.37},
        "values": {"accuracy": 0.9},
        "metrics": {"accuracy": 0.9, "loss": 0.1},
        "checkpoint": f"{name}/best.pt",
    }
    assert status["bestValue"] == "0.9"


BESTS: dict[str, tuple[Scene, int | None]] = {
    "the highest": (a_study().with_trials(succeeded(0.5), succeeded(0.9), succeeded(0.7)), 1),
    "the lowest, if it is minimised": (
        a_study(objectives=[{"metric": "accuracy", "goal": "Minimize"}]).with_trials(succeeded(0.5), succeeded(0.1)),
        1,
    ),
    "of equal ones the first, whichever ended first": (
        a_study().with_trials(succeeded(0.9, ended=60), succeeded(0.9, ended=50)),
        0,
    ),
    "never an infeasible one": (
        a_study().with_trials(
            succeeded(0.5),
            recorded(Result(TrialState.SUCCEEDED, "ConstraintViolated", values={"accuracy": 0.9}, infeasible=True)),
        ),
        0,
    ),
    "never a failed or a stopped one": (
        a_study().with_trials(
            recorded(Result(TrialState.STOPPED, "TargetReached", values={"accuracy": 0.99})),
            recorded(Result(TrialState.FAILED, "NonZeroExit", values={"accuracy": 0.99})),
            succeeded(0.5),
        ),
        2,
    ),
    "zero is a value": (a_study().with_trials(succeeded(-1.0), succeeded(0.0)), 1),
    "none yet": (a_study().with_trials(running()), None),
}


@pytest.mark.parametrize("case", BESTS)
def test_the_best_is(case: str) -> None:
    scene, number = BESTS[case]
    best = status_of(scene).get("best")
    assert (None if best is None else best["number"]) == number


def test_several_objectives_have_a_front() -> None:
    objectives = [{"metric": "accuracy", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]

    def trial(accuracy: float, size: float) -> Any:
        return recorded(Result(TrialState.SUCCEEDED, "Completed", values={"accuracy": accuracy, "size": size}))

    status = status_of(
        a_study(objectives=objectives).with_trials(
            trial(0.9, 5), trial(0.8, 2), trial(0.7, 3), trial(0.9, 5), trial(0.5, 1)
        )
    )
    assert [member["number"] for member in status["front"]] == [0, 1, 4]
    assert status["bestValue"] == "0.8, 2", "the knee of the front"


def test_times_and_costs() -> None:
    status = status_of(
        a_study(limits__trials=2).with_trials(
            succeeded(0.5, ended=50, accelerator_seconds=50.0),
            failed(ended=80, started_at=T0 + 5, accelerator_seconds=75.25),
        )
    )
    assert (status["startTime"], status["completionTime"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:40Z")
    assert status["acceleratorSeconds"] == 125.25


def test_it_says_what_was_learned_from_earlier_results() -> None:
    scene = a_study(limits__trials=100)
    told = replace(scene, snapshot=replace(scene.snapshot, learned=("learned from 3 results of study old",)))
    assert status_of(told)["algorithm"]["reason"].endswith("; learned from 3 results of study old")


def test_it_says_which_algorithm_searches_and_why() -> None:
    scene = a_study(algorithm={"name": "Auto"}, limits__trials=100)
    assert status_of(scene)["algorithm"]["name"] == "GP"
    assert "a Gaussian process" in status_of(scene)["algorithm"]["reason"]


def test_it_is_bounded_whatever_the_trials_say() -> None:
    metrics = {f"m{number}": 0.5 for number in range(200)} | {"accuracy": 0.5}
    result = Result(
        TrialState.FAILED,
        "NonZeroExit",
        "x" * 1024,
        metrics=metrics,
        artifacts={f"a{n}": "p" * 1024 for n in range(50)},
    )
    scene = a_study(limits__failures=0, **FINAL).with_trials(
        succeeded(0.9, metrics=metrics), recorded(result), recorded(result, role=Role.FINAL)
    )
    assert len(str(status_of(scene))) < 60_000


@pytest.mark.parametrize("reason", ["Forbidden", "quota exceeded!", "", "4xx", "ä", "-" * 300])
def test_any_word_of_the_world_becomes_a_reason_the_api_server_takes(reason: str) -> None:
    status_of(a_study().with_trials(pending()).with_problem(0, reason))


def test_turns_are_told_and_not_repeated() -> None:
    scene = a_study(limits__trials=3, limits__parallel=1)
    told: list[str] = []
    status: Any = {}
    for step in (
        scene,
        scene.with_trials(running()),
        scene.with_trials(failed()),
        scene.with_trials(failed(), failed()),
        scene.with_trials(failed(), failed(), succeeded(0.9)),
        scene.with_trials(failed(), failed(), succeeded(0.9)),
    ):
        plan = step.with_suggestions().with_status(status).plan()
        status = plan.status
        told += [event.reason for event in plan.events]
    assert told == ["Started", "TrialFailed", "SearchEnded", "Succeeded"]


def status_of(scene: Scene) -> dict[str, Any]:
    """Every status is one that the API server would take."""
    status = dict(scene.plan().status)
    StudyStatus.model_validate(status)
    assert all(math.isfinite(value) for value in status.get("best", {}).get("values", {}).values())
    return status


def _kstatus(status: dict[str, Any]) -> str:
    """As sigs.k8s.io/cli-utils computes it for a resource that it does not know."""
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    if conditions["Reconciling"] == "True":
        return "InProgress"
    if conditions["Stalled"] == "True":
        return "Failed"
    return "Current" if conditions["Ready"] == "True" else "InProgress"


def _timeless(status: Any) -> Any:
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status["conditions"]]
    return dict(status) | {"conditions": conditions}
