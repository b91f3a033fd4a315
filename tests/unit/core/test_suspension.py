"""Suspend and resume: everything stops, nothing is lost, and nothing counts as a failure."""

from tests.unit.core.builders import (
    T0,
    a_report,
    a_study,
    ended,
    pending,
    running,
    stopping,
    succeeded,
    waiting,
)
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import CreateTrial, RecordAttempt, RecordResult, StartRun, StopRun


def test_what_runs_is_stopped_and_goes_back_to_the_queue() -> None:
    plan = a_study(suspend=True).with_trials(succeeded(0.5), running(retries=1, attempt=1)).plan()
    assert plan.actions == (
        RecordAttempt(1, TrialState.PENDING, 2, 1, 0, 100.0, T0),
        StopRun(1, 1, "Suspended"),
    )


def test_it_counts_as_no_disruption() -> None:
    plan = a_study(suspend=True).with_trials(running(disruptions=20, attempt=20)).plan()
    assert not any(isinstance(action, RecordResult) for action in plan.actions)


def test_nothing_starts_and_nothing_is_suggested() -> None:
    plan = a_study(suspend=True).with_trials(pending()).plan()
    assert not plan.actions
    assert not plan.suggest
    assert plan.status["state"] == "Suspended"


def test_what_ended_by_itself_is_recorded() -> None:
    plan = a_study(suspend=True).with_trials(ended(0, report=a_report(0.9)), ended(75)).plan()
    assert [type(action) for action in plan.actions] == [RecordResult, RecordAttempt]


def test_a_job_that_waits_is_stopped_too() -> None:
    plan = a_study(suspend=True).with_trials(waiting("Unschedulable")).plan()
    assert StopRun(0, 0, "Suspended") in plan.actions


def test_reconciling_until_the_last_run_is_gone() -> None:
    scene = a_study(suspend=True).with_trials(stopping())
    conditions = {c["type"]: c["status"] for c in scene.plan().status["conditions"]}
    assert (conditions["Suspended"], conditions["Reconciling"]) == ("True", "True")
    gone = a_study(suspend=True).with_trials(pending(attempt=1)).plan()
    conditions = {c["type"]: c["status"] for c in gone.status["conditions"]}
    assert (conditions["Suspended"], conditions["Reconciling"]) == ("True", "False")


def test_resume_continues_the_stopped_trials_first() -> None:
    plan = a_study(limits__parallel=2).with_trials(pending(attempt=1, started_at=T0)).plan()
    assert StartRun(0, 1) in plan.actions
    assert sum(isinstance(action, CreateTrial) for action in plan.actions) == 1


def test_a_quick_resume_waits_until_the_stopped_run_is_gone() -> None:
    scene = a_study(limits__parallel=1).with_trials(stopping()).gone_on()
    assert not scene.plan().actions
    assert scene.with_only_runs().plan().actions == (StartRun(0, 1),)


def test_the_final_run_is_suspended_like_any_other() -> None:
    scene = a_study(suspend=True, limits__trials=1, final={"retrain": True})
    plan = scene.with_trials(succeeded(0.9), running(role=Role.FINAL)).plan()
    assert StopRun(1, 0, "Suspended") in plan.actions
    assert plan.status["state"] == "Suspended"


def test_turns_are_told_once() -> None:
    scene = a_study(suspend=True).with_trials(pending())
    first = scene.plan()
    assert [event.reason for event in first.events if event.reason == "Suspended"] == ["Suspended"]
    assert not scene.with_status(first.status).plan().events
    resumed = a_study().with_trials(pending()).with_status(first.status).plan()
    assert [event.reason for event in resumed.events] == ["Resumed"]
