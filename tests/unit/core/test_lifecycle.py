"""What the end of a run means: the trial contract's table, and all that is not in it."""

import math
from dataclasses import replace

import pytest

from tests.unit.core.builders import (
    T0,
    Described,
    a_report,
    a_study,
    ended,
    pending,
    running,
    stopping,
    succeeded,
    vanished,
    waiting,
)
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Plan, RecordAttempt, RecordResult, Run, RunState, StartRun, StopRun
from tuning_trial.report import Failure, Report

OWN_WORDS = a_report(None, done=False, error=Failure("OutOfMemory", "asked for 9 GiB of 8"))

RESULTS: dict[str, tuple[Described, str, str, bool]] = {
    "exit 0 with the objective is a success": (ended(0, report=a_report(0.9)), "Succeeded", "Completed", False),
    "exit 0 with NaN has diverged": (ended(0, report=a_report(math.nan)), "Failed", "NotFinite", True),
    "exit 0 with infinity has diverged": (ended(0, report=a_report(math.inf)), "Failed", "NotFinite", True),
    "exit 0 without the objective, after the wait": (
        ended(0, ended=10, report=a_report(None, loss=1.0)),
        "Failed",
        "MetricsUnavailable",
        False,
    ),
    "exit 0 without any report, after the wait": (ended(0, ended=10), "Failed", "MetricsUnavailable", False),
    "exit 0 although it was being evicted is a success, if it says that it was done": (
        ended(0, disrupted=True, report=a_report(0.9)),
        "Succeeded",
        "Completed",
        False,
    ),
    "exit 42": (ended(42), "Failed", "InvalidSetting", True),
    "exit 43": (ended(43, report=OWN_WORDS), "Failed", "OutOfMemory", True),
    "exit 44": (ended(44), "Failed", "Diverged", True),
    "exit 43 while it was being evicted is still out of memory": (
        ended(43, disrupted=True),
        "Failed",
        "OutOfMemory",
        True,
    ),
    "killed by the kernel for memory": (ended(137, reason="OOMKilled"), "Failed", "OutOfMemory", True),
    "killed by who knows whom": (ended(137), "Failed", "NonZeroExit", False),
    "exit 1": (ended(1), "Failed", "NonZeroExit", False),
    "the Job's own deadline": (ended(143, reason="DeadlineExceeded"), "Failed", "DeadlineExceeded", False),
    "exit 75 after all retries": (ended(75, retries=2, attempt=2), "Failed", "RetriesExhausted", False),
    "143 that nobody asked for, after all retries": (
        ended(143, retries=2, attempt=2),
        "Failed",
        "RetriesExhausted",
        False,
    ),
    "its report was lost once too often": (
        ended(0, ended=10, unread=True, disruptions=20, attempt=20),
        "Failed",
        "TooManyDisruptions",
        False,
    ),
    "lost once too often": (
        ended(None, disrupted=True, disruptions=20, attempt=20),
        "Failed",
        "TooManyDisruptions",
        False,
    ),
    "vanished once too often": (vanished(disruptions=20, attempt=20), "Failed", "TooManyDisruptions", False),
    "still running after trial.timeout": (running(since=-3600), "Failed", "DeadlineExceeded", False),
}

ATTEMPTS: dict[str, tuple[Described, int, int]] = {
    "exit 75 asks for another attempt": (ended(75), 1, 0),
    "143 that nobody asked for": (ended(143), 1, 0),
    "evicted": (ended(None, reason="Evicted", disrupted=True), 0, 1),
    "preempted with 143": (ended(143, disrupted=True), 0, 1),
    "deleted by hand, with exit 0 but not done": (ended(0, disrupted=True, report=a_report(0.5, done=False)), 0, 1),
    "its node is gone, without any word": (ended(None), 0, 1),
    "its Job was deleted by hand while nobody looked": (vanished(), 0, 1),
    "done, but its pod was removed before anybody read its report": (ended(0, ended=10, unread=True), 0, 1),
}


def only(plan: Plan, kind: type) -> object:
    found = [action for action in plan.actions if isinstance(action, kind)]
    assert len(found) == 1, plan.actions
    return found[0]


@pytest.mark.parametrize("case", RESULTS)
def test_a_run_that_gives_the_trial_its_result(case: str) -> None:
    described, state, reason, infeasible = RESULTS[case]
    plan = a_study(trial__timeout="30m", limits__trials=1).with_trials(described).plan()
    record = only(plan, RecordResult)
    assert isinstance(record, RecordResult)
    assert (record.result.state, record.result.reason, record.result.infeasible) == (state, reason, infeasible)
    assert not any(isinstance(action, StartRun) for action in plan.actions)


@pytest.mark.parametrize("case", ATTEMPTS)
def test_a_run_that_is_an_attempt_and_no_failure(case: str) -> None:
    described, retries, disruptions = ATTEMPTS[case]
    plan = a_study(limits__trials=1).with_trials(described).plan()
    record, start = plan.actions
    assert isinstance(record, RecordAttempt)
    assert (record.attempt, record.retries, record.disruptions) == (1, retries, disruptions)
    assert record.state is TrialState.PENDING
    assert start == StartRun(0, 1), "the record comes first, then the run it speaks of"


def test_the_values_are_waited_for_as_long_as_the_study_says() -> None:
    scene = a_study(limits__trials=1, metrics__waitSeconds=30).with_trials(ended(0, ended=80)).at(100)
    plan = scene.plan()
    assert not plan.actions
    assert plan.requeue_after == pytest.approx(10.0)
    assert only(scene.at(110).plan(), RecordResult)


def test_an_end_that_nobody_timed_is_not_waited_for_again_and_again() -> None:
    scene = a_study(limits__trials=1, metrics__waitSeconds=30).with_trials(ended(0)).at(100)
    untimed = replace(scene.snapshot.runs[0], ended_at=None)
    assert only(scene.with_only_runs(untimed).plan(), RecordResult)


def test_a_message_says_what_was_missing_and_what_came_instead() -> None:
    scene = a_study(limits__trials=1).with_trials(ended(0, ended=10, report=a_report(None, loss=1.0, lr=0.1)))
    record = only(scene.plan(), RecordResult)
    assert isinstance(record, RecordResult)
    assert "accuracy did not arrive within 60 s" in record.result.message
    assert "it reported loss, lr" in record.result.message


def test_the_trial_s_own_words_reach_the_message() -> None:
    record = only(a_study(limits__trials=1).with_trials(ended(43, report=OWN_WORDS)).plan(), RecordResult)
    assert isinstance(record, RecordResult)
    assert record.result.message == "exit code 43 (out of memory): OutOfMemory: asked for 9 GiB of 8"


def test_what_was_reported_is_kept_with_a_failure() -> None:
    plan = a_study(limits__trials=1).with_trials(ended(1, report=a_report(0.7, done=False, loss=math.nan))).plan()
    record = only(plan, RecordResult)
    assert isinstance(record, RecordResult)
    assert record.result.metrics == {"accuracy": 0.7}
    assert record.result.step == 10


def test_accelerators_are_paid_from_start_to_end_over_all_attempts() -> None:
    scene = a_study(limits__trials=1, trial__accelerator={"count": 4}, trial__workers=2).with_trials(
        ended(0, ended=90, attempt=1, retries=1, accelerator_seconds=100.0, report=a_report(0.9))
    )
    record = only(scene.plan(), RecordResult)
    assert isinstance(record, RecordResult)
    assert record.accelerator_seconds == 100.0 + 4 * 2 * 90.0
    assert (record.started_at, record.ended_at) == (T0, T0 + 90.0)


def test_a_timeout_stops_the_run_and_is_recorded_at_once() -> None:
    plan = a_study(limits__trials=1, trial__timeout="90s").with_trials(running(report=a_report(0.5, done=False))).plan()
    record, stop = plan.actions
    assert stop == StopRun(0, 0, "DeadlineExceeded")
    assert isinstance(record, RecordResult)
    assert "90s (trial.timeout)" in record.result.message
    assert record.accelerator_seconds == 100.0


def test_a_timeout_is_looked_at_in_time() -> None:
    plan = a_study(limits__trials=1, trial__timeout="2m").with_trials(running()).plan()
    assert plan.requeue_after == pytest.approx(20.0)


def test_waiting_is_no_part_of_the_timeout() -> None:
    assert not a_study(limits__trials=1, trial__timeout="30s").with_trials(waiting("Unschedulable")).plan().actions


def test_a_run_that_runs_is_recorded_once() -> None:
    scene = a_study(limits__trials=1)
    plan = scene.with_trials(running(since=5.0, recorded=False)).plan()
    assert plan.actions == (RecordAttempt(0, TrialState.RUNNING, 0, 0, 0, 0.0, T0 + 5.0),)
    assert not scene.with_trials(running(since=5.0)).plan().actions


def test_a_run_that_is_being_stopped_is_waited_for() -> None:
    assert not a_study(limits__trials=1).with_trials(stopping()).plan().actions


def test_a_trial_never_seen_running_that_lost_its_job_is_simply_started() -> None:
    assert a_study(limits__trials=1).with_trials(pending()).plan().actions == (StartRun(0, 0),)


def test_an_earlier_attempt_must_be_gone_first() -> None:
    scene = a_study(limits__trials=1).with_trials(stopping()).gone_on()
    assert not scene.plan().actions, "two attempts at once would break P1"
    assert scene.with_only_runs().plan().actions == (StartRun(0, 1),)


def test_every_earlier_attempt_must_be_gone_first() -> None:
    """A trial that a person deleted and that was created anew: its first attempt runs, and one that was begun for its
    predecessor has just been lost."""
    first = Run(0, 0, RunState.RUNNING, T0, started_at=T0 + 1)
    lost = Run(0, 1, RunState.ENDED, T0, started_at=T0 + 1, ended_at=T0 + 2, disrupted=True)
    plan = a_study(limits__trials=1).with_trials(pending()).with_only_runs(first, lost).plan()
    assert [type(action) for action in plan.actions] == [RecordAttempt, StopRun]
    after = a_study(limits__trials=1).with_trials(pending(attempt=2)).with_only_runs(lost).plan()
    assert after.actions == (StartRun(0, 2),)


def test_constraints_make_a_success_infeasible() -> None:
    scene = a_study(constraints=[{"metric": "size", "max": 5}], limits__trials=3).with_trials(
        succeeded(0.5, metrics={"accuracy": 0.5, "size": 1.0}), ended(0, report=a_report(0.9, size=6.0))
    )
    plan = scene.plan()
    record = only(plan, RecordResult)
    assert isinstance(record, RecordResult)
    assert (record.result.state, record.result.reason) == (TrialState.SUCCEEDED, "ConstraintViolated")
    assert record.result.message == "size is 6, more than 5"
    assert plan.status["best"]["number"] == 0


def test_a_report_that_nobody_has_read_may_still_be_on_its_way() -> None:
    plan = a_study(limits__trials=1, metrics={"waitSeconds": 0}).with_trials(ended(0, ended=90, unread=True)).plan()

    assert not plan.actions
    assert plan.requeue_after == pytest.approx(20)


def test_the_final_run_owes_no_objective_but_a_report() -> None:
    done = succeeded(0.9)
    final = {"role": Role.FINAL}
    scene = a_study(limits__trials=1, final={"retrain": True})
    tested = scene.with_trials(done, ended(0, report=a_report(None, test_accuracy=0.8), **final)).plan()
    record = only(tested, RecordResult)
    assert isinstance(record, RecordResult)
    assert record.result.state is TrialState.SUCCEEDED
    assert record.result.metrics == {"test_accuracy": 0.8}
    silent = scene.with_trials(done, ended(0, ended=10, **final)).plan()
    record = only(silent, RecordResult)
    assert isinstance(record, RecordResult)
    assert record.result.reason == "MetricsUnavailable"


def test_a_report_with_strange_names_is_cut_to_what_the_api_server_takes() -> None:
    report = Report(step=1, final={"accuracy": 0.5, "a b": 1.0} | {f"m{n}": 1.0 for n in range(100)}, done=True)
    record = only(a_study(limits__trials=1).with_trials(ended(0, report=report)).plan(), RecordResult)
    assert isinstance(record, RecordResult)
    assert len(record.result.metrics) == 64
    assert "accuracy" in record.result.metrics
    assert "a b" not in record.result.metrics
