"""When the search is over, and what happens to what still runs."""

import pytest

from tests.unit.core.builders import (
    T0,
    Described,
    Scene,
    a_report,
    a_study,
    ended,
    failed,
    pending,
    running,
    stopping,
    succeeded,
    waiting,
    was_stopped,
)
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import CreateTrial, Plan, RecordResult, Run, RunState, StartRun, StopRun

TARGET = [{"metric": "accuracy", "goal": "Maximize", "target": 0.9}]

ENDS: dict[str, tuple[Scene, str, str]] = {
    "a trial reached the target": (
        a_study(objectives=TARGET).with_trials(succeeded(0.5), succeeded(0.95), running()),
        "TargetReached",
        "Succeeded",
    ),
    "a minimised objective fell to its target": (
        a_study(objectives=[{"metric": "accuracy", "goal": "Minimize", "target": 0.1}]).with_trials(
            succeeded(0.05), running()
        ),
        "TargetReached",
        "Succeeded",
    ),
    "one failure more than allowed": (
        a_study(limits__failures=1).with_trials(succeeded(0.5), failed(), failed(), running()),
        "TooManyFailures",
        "Failed",
    ),
    "no failure is allowed, and one came": (
        a_study(limits__failures=0).with_trials(failed(), running()),
        "TooManyFailures",
        "Failed",
    ),
    "no better best for so many trials": (
        a_study(limits__patience=2).with_trials(succeeded(0.9), succeeded(0.5), succeeded(0.6), running()),
        "PatienceExhausted",
        "Succeeded",
    ),
    "the time is over": (
        a_study(limits__duration="90s").with_trials(succeeded(0.5), running()),
        "DurationReached",
        "Succeeded",
    ),
    "the accelerator hours are spent by ended trials": (
        a_study(limits__acceleratorHours=0.01).with_trials(succeeded(0.5), running(since=99)),
        "AcceleratorHoursReached",
        "Succeeded",
    ),
    "the accelerator hours are spent by what runs": (
        a_study(limits__acceleratorHours=0.01).with_trials(succeeded(0.5, accelerator_seconds=1.0), running()),
        "AcceleratorHoursReached",
        "Succeeded",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_an_end_stops_what_runs_and_starts_nothing(case: str) -> None:
    scene, reason, state = ENDS[case]
    plan = scene.with_trials(pending()).at(100).plan()
    live = next(run.trial for run in scene.snapshot.runs)
    results = {action.trial: action.result for action in plan.actions if isinstance(action, RecordResult)}
    assert StopRun(live, 0, reason) in plan.actions
    assert {(r.state, r.reason) for r in results.values()} == {(TrialState.STOPPED, reason)}
    assert set(results) == {live, live + 1}, "what runs, and what would have run"
    assert not any(isinstance(action, CreateTrial | StartRun) for action in plan.actions)
    assert not plan.suggest
    assert plan.status["state"] == state
    assert _reason(plan) == reason


GOES_ON: dict[str, Scene] = {
    "the target is not reached": a_study(objectives=TARGET).with_trials(succeeded(0.89)),
    "as many failures as allowed": a_study(limits__failures=2).with_trials(failed(), failed()),
    "a better one came in time": a_study(limits__patience=2).with_trials(
        succeeded(0.5), succeeded(0.4), succeeded(0.6)
    ),
    "failures do not wear patience out": a_study(limits__patience=2).with_trials(succeeded(0.5), failed(), failed()),
    "there is time left": a_study(limits__duration="2m").with_trials(running()),
    "trials are left": a_study(limits__trials=3).with_trials(succeeded(0.5), running()),
    "an infeasible trial reaches no target": a_study(objectives=TARGET).with_trials(failed(infeasible=True)),
}


@pytest.mark.parametrize("case", GOES_ON)
def test_it_goes_on(case: str) -> None:
    plan = GOES_ON[case].at(100).plan()
    assert any(isinstance(action, CreateTrial) for action in plan.actions)
    assert plan.status["state"] == "Running"


def test_the_last_trials_are_waited_for() -> None:
    plan = a_study(limits__trials=2).with_trials(succeeded(0.5), running()).plan()
    assert not plan.actions
    assert plan.status["state"] == "Running"
    plan = a_study(limits__trials=2).with_trials(succeeded(0.5), succeeded(0.6)).plan()
    assert plan.finished
    assert (plan.status["state"], _reason(plan)) == ("Succeeded", "TrialsCompleted")


def test_the_result_that_ends_the_study_starts_nothing_new() -> None:
    plan = a_study(objectives=TARGET, limits__parallel=1).with_trials(ended(0, report=a_report(0.95))).plan()
    assert [type(action) for action in plan.actions] == [RecordResult]


def test_a_result_that_does_not_end_it_is_recorded_after_the_slot_is_filled() -> None:
    plan = a_study(objectives=TARGET, limits__parallel=1).with_trials(ended(0, report=a_report(0.5))).plan()
    assert [type(action) for action in plan.actions] == [CreateTrial, StartRun, RecordResult]


def test_a_success_in_the_same_moment_still_counts_for_the_best() -> None:
    plan = (
        a_study(objectives=TARGET)
        .with_trials(ended(0, ended=80, report=a_report(0.91)), ended(0, ended=81, report=a_report(0.99)))
        .plan()
    )
    assert plan.status["best"]["number"] == 1
    assert _reason(plan) == "TargetReached"


def test_a_failure_in_the_same_moment_after_the_end_is_recorded_as_what_it_is() -> None:
    plan = (
        a_study(objectives=TARGET, limits__failures=0)
        .with_trials(ended(0, ended=80, report=a_report(0.95)), ended(1, ended=81))
        .plan()
    )
    assert plan.status["state"] == "Succeeded", "the target was reached before"


def test_values_that_are_on_their_way_are_waited_for_after_the_end() -> None:
    scene = a_study(objectives=TARGET).with_trials(succeeded(0.95), ended(0, ended=90)).at(100)
    plan = scene.plan()
    assert not plan.actions
    assert plan.status["state"] == "Finishing"
    assert plan.requeue_after == pytest.approx(50.0)


def test_what_is_being_stopped_is_recorded_but_not_stopped_twice() -> None:
    plan = a_study(objectives=TARGET).with_trials(succeeded(0.95), stopping()).plan()
    assert [type(action) for action in plan.actions] == [RecordResult]


def test_a_study_is_not_finished_before_the_last_run_is_gone() -> None:
    scene = a_study(objectives=TARGET).with_trials(succeeded(0.95), was_stopped("TargetReached"))
    plan = scene.with_only_runs(Run(1, 0, RunState.RUNNING, created_at=T0)).plan()
    assert plan.actions == (StopRun(1, 0, "Superseded"),), "a Job that came into being unseen"
    assert not plan.finished


def test_without_any_success_the_study_failed_and_says_why() -> None:
    plan = a_study(limits__trials=2).with_trials(failed("NonZeroExit"), failed("MetricsUnavailable")).plan()
    assert (plan.status["state"], _reason(plan)) == ("Failed", "NoSuccessfulTrial")
    assert "trial 1: MetricsUnavailable!" in _message(plan)


def test_too_many_failures_are_told_with_their_reasons() -> None:
    plan = a_study(limits__failures=1).with_trials(failed("OutOfMemory"), failed("OutOfMemory")).plan()
    assert _message(plan) == (
        "2 trials failed, 1 are allowed (limits.failures): all with OutOfMemory. Last: trial 1: OutOfMemory!"
    )


def test_an_end_stays_what_it_was_however_late_it_is_looked_at() -> None:
    scene = a_study(limits__trials=2, limits__duration="10m", limits__acceleratorHours=0.02)
    done = scene.with_trials(succeeded(0.5, ended=50), succeeded(0.6, ended=60))
    assert _reason(done.at(100_000).plan()) == "TrialsCompleted"
    late = a_study(limits__trials=2, limits__duration="55s").with_trials(
        succeeded(0.5, ended=50), was_stopped("DurationReached", ended=56)
    )
    assert _reason(late.at(100_000).plan()) == "DurationReached"
    spent = a_study(limits__trials=9, limits__duration="10m", limits__acceleratorHours=0.02)
    spent = spent.with_trials(succeeded(0.5, ended=50, accelerator_seconds=72.0))
    assert _reason(spent.at(100_000).plan()) == "AcceleratorHoursReached"


EDITS: dict[str, tuple[Scene, dict[str, object], bool]] = {
    "more trials reopen a study that ended by them": (
        a_study(limits__trials=1).with_trials(succeeded(0.5)),
        {"limits__trials": 3},
        True,
    ),
    "a higher failure limit reopens a study that failed by it": (
        a_study(limits__failures=0).with_trials(failed()),
        {"limits__failures": 3},
        True,
    ),
    "more time reopens a study that ran out of it": (
        a_study(limits__duration="60s").with_trials(was_stopped("DurationReached", ended=61)),
        {"limits__duration": "1h"},
        True,
    ),
    "fewer trials than exist end it": (
        a_study().with_trials(succeeded(0.5), succeeded(0.6)),
        {"limits__trials": 1},
        False,
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_limits_may_be_edited(case: str) -> None:
    scene, changes, goes_on = EDITS[case]
    plan = scene.edited(**changes).with_suggestions().plan()
    assert any(isinstance(action, CreateTrial) for action in plan.actions) is goes_on
    assert plan.status["observedGeneration"] == 2


def test_lower_parallelism_drains_and_kills_nothing() -> None:
    scene = a_study(limits__parallel=3).with_trials(running(), running(), running())
    assert not scene.edited(limits__parallel=1).plan().actions


def test_higher_parallelism_is_used_at_once() -> None:
    plan = a_study(limits__parallel=1).with_trials(running()).edited(limits__parallel=3).plan()
    assert [type(action) for action in plan.actions] == [CreateTrial, StartRun] * 2


@pytest.mark.parametrize("last", [waiting(), running(), stopping()])
def test_a_finite_space_ends_when_all_its_points_were_tried(last: Described) -> None:
    grid = {
        "parameters": [{"name": "x", "float": {"min": 0, "max": 0.37, "step": 0.37}}],
        "algorithm": {"name": "Grid"},
        "limits": {"parallel": 2},
    }
    plan = a_study(**grid).with_trials(succeeded(0.5), succeeded(0.6)).without_suggestions().plan()
    assert (plan.status["state"], _reason(plan)) == ("Succeeded", "SpaceExhausted")
    waits = a_study(**grid).with_trials(succeeded(0.5), last).without_suggestions().plan()
    assert waits.status["state"] == "Running"


def _reason(plan: Plan) -> str:
    return str(plan.status["conditions"][0]["reason"])


def _message(plan: Plan) -> str:
    return str(plan.status["conditions"][0]["message"])
