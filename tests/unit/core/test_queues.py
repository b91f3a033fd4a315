"""Jobs that a queue (Kueue) holds back, at first and when it takes their place back: nothing of it is a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.core.builders import T0, Described, a_report, a_study, pending, running
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import QUEUED, Plan, RecordAttempt, Run, RunState, StartRun, StopRun, Trial
from tuning_trial.report import Report


def held(
    *,
    ran: tuple[float | None, float] | None = None,
    state: TrialState = TrialState.PENDING,
    report: Report | None = None,
    **trial: Any,
) -> Described:
    """Its Job is suspended; `ran`: from when to when it ran before, in seconds since `T0`."""

    def of(number: int) -> tuple[Trial, tuple[Run, ...]]:
        begin, end = ran or (None, None)
        run = Run(
            number,
            0,
            RunState.WAITING,
            T0,
            started_at=None if begin is None else T0 + begin,
            ended_at=None if end is None else T0 + end,
            reason=QUEUED,
            message="its Job is suspended",
            report=report,
        )
        return pending(recorded_state=state, **trial)(number)[0], (run,)

    return of


def record(plan: Plan) -> RecordAttempt:
    (found,) = [action for action in plan.actions if isinstance(action, RecordAttempt)]
    return found


def test_a_job_that_a_queue_holds_is_queued_and_keeps_its_slot() -> None:
    plan = a_study(limits__parallel=1).with_trials(held()).plan()
    assert record(plan) == RecordAttempt(0, TrialState.QUEUED, 0, 0, 0, 0.0, None)
    assert (plan.status["counts"]["running"], plan.status["counts"]["pending"]) == (0, 1)
    assert plan.actions == (record(plan),)
    assert plan.status["state"] == "Running"
    assert "waits" in plan.status["conditions"][0]["message"]


def test_what_is_recorded_is_not_recorded_again() -> None:
    plan = a_study(limits__parallel=1).with_trials(held(state=TrialState.QUEUED)).plan()
    assert plan.actions == ()


def test_a_place_that_is_taken_back_is_a_pause_in_the_same_attempt() -> None:
    spec = {"trial__accelerator": {"count": 2}, "limits__parallel": 1}
    scene = a_study(**spec).with_trials(held(ran=(10, 40), state=TrialState.RUNNING, started_at=T0 + 10, disruptions=3))
    assert record(scene.plan()) == RecordAttempt(0, TrialState.QUEUED, 0, 0, 3, 60.0, T0 + 10)
    assert scene.plan().status["acceleratorSeconds"] == 60.0


def test_what_is_seen_of_the_accelerators_comes_before_what_the_study_says() -> None:
    seen = held(ran=(10, 40), state=TrialState.RUNNING, started_at=T0 + 10)

    def of(number: int) -> tuple[Trial, tuple[Run, ...]]:
        trial, (run,) = seen(number)
        return trial, (replace(run, accelerators=4),)

    plan = a_study(trial__accelerator={"count": 1}, limits__parallel=1).with_trials(of).plan()
    assert record(plan).accelerator_seconds == 120.0


def test_what_it_cost_is_counted_once() -> None:
    spec = {"trial__accelerator": {"count": 2}, "limits__parallel": 1}
    again = held(ran=(10, 40), state=TrialState.QUEUED, accelerator_seconds=60.0, started_at=T0 + 10)
    plan = a_study(**spec).with_trials(again).plan()
    assert plan.actions == ()
    assert plan.status["acceleratorSeconds"] == 60.0
    suspended = a_study(suspend=True, **spec).with_trials(again).plan()
    assert StopRun(0, 0, "Suspended") in suspended.actions
    assert record(suspended).accelerator_seconds == 60.0


def test_of_a_run_that_nobody_saw_the_job_tells_the_end() -> None:
    """The operator was away: the pod is gone, and of the Job only the time of its suspension is known."""
    seen = held(ran=(None, 25), state=TrialState.RUNNING, started_at=T0 + 5)
    plan = a_study(trial__accelerator={"count": 1}, limits__parallel=1).with_trials(seen).plan()
    assert record(plan).accelerator_seconds == 20.0


def test_it_goes_on_in_the_same_attempt() -> None:
    plan = a_study(limits__parallel=1).with_trials(running(recorded_state=TrialState.QUEUED)).plan()
    assert (record(plan).state, record(plan).attempt) == (TrialState.RUNNING, 0)


def test_a_job_that_is_gone_from_the_queue_is_made_again() -> None:
    scene = a_study(limits__parallel=1).with_trials(lambda n: (held(state=TrialState.QUEUED)(n)[0], ()))
    assert StartRun(0, 0) in scene.plan().actions


@pytest.mark.parametrize("state", [TrialState.PENDING, TrialState.QUEUED])
def test_an_end_of_the_search_takes_it_out_of_the_queue(state: TrialState) -> None:
    plan = a_study(limits__duration="1s").with_trials(running(), held(state=state)).plan()
    assert StopRun(1, 0, "DurationReached") in plan.actions


def test_a_rung_that_it_reached_before_is_judged() -> None:
    spec = {"fidelity": {"min": 1, "max": 9}, "scheduler": {"name": "ASHA", "asha": {"mode": "Pause"}}}
    report = replace(a_report(0.7), step=1, steps=9, done=False, rungs={1: {"accuracy": 0.7}})
    trial = held(ran=(10, 40), state=TrialState.RUNNING, started_at=T0 + 10, report=report)
    plan = a_study(**spec, trial__accelerator={"count": 1}, limits__parallel=1).with_trials(trial).plan()
    assert (record(plan).state, record(plan).attempt) == (TrialState.PAUSED, 1)
    assert record(plan).accelerator_seconds == 30.0
    assert StopRun(0, 0, "Paused") in plan.actions
