"""The final run: once, with the best parameters, when the search is over."""

import pytest

from tests.unit.core.builders import (
    T0,
    Described,
    a_report,
    a_study,
    a_suggestion,
    ended,
    failed,
    pending,
    running,
    succeeded,
)
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import CreateTrial, Plan, RecordResult, Run, RunState, StartRun, StopRun

FINAL = {"final": {"retrain": True}}


def test_it_gets_the_best_parameters_and_the_next_number() -> None:
    plan = a_study(limits__trials=3, **FINAL).with_trials(succeeded(0.5), succeeded(0.9), failed()).plan()
    create, start = plan.actions
    assert isinstance(create, CreateTrial)
    assert (create.number, create.role) == (3, Role.FINAL)
    assert create.suggestion.parameters == a_suggestion(1).parameters
    assert create.suggestion.reason == "best of 3: trial 1"
    assert start == StartRun(3, 0)
    assert plan.status["state"] == "Finishing"


NOT_YET: dict[str, list[Described]] = {
    "while a trial runs": [succeeded(0.9), running()],
    "while a result is not recorded": [succeeded(0.9), ended(0, report=a_report(0.95))],
    "while values are on their way": [succeeded(0.9), ended(0)],
}


@pytest.mark.parametrize("case", NOT_YET)
def test_it_does_not_start(case: str) -> None:
    plan = a_study(limits__trials=2, **FINAL).with_trials(*NOT_YET[case]).plan()
    assert not any(isinstance(action, CreateTrial) for action in plan.actions)
    assert not plan.finished


def test_it_waits_for_a_slot() -> None:
    scene = a_study(limits__trials=1, limits__parallel=1, **FINAL).with_trials(succeeded(0.9))
    assert not scene.with_only_runs(Run(0, 0, RunState.STOPPING, created_at=T0)).plan().actions


def test_there_is_none_without_a_best() -> None:
    plan = a_study(limits__trials=1, **FINAL).with_trials(failed()).plan()
    assert plan.finished
    assert plan.status["state"] == "Failed"


def test_a_failed_search_with_a_best_still_gets_one_and_stays_failed() -> None:
    scene = a_study(limits__failures=0, **FINAL).with_trials(succeeded(0.9), failed())
    assert any(isinstance(action, CreateTrial) for action in scene.plan().actions)
    done = scene.with_trials(succeeded(0.95, role=Role.FINAL)).plan()
    assert (done.status["state"], _reason(done)) == ("Failed", "TooManyFailures")


def test_its_metrics_are_told_once_and_never_count_for_the_best() -> None:
    scene = a_study(limits__trials=1, **FINAL)
    plan = scene.with_trials(succeeded(0.9), succeeded(0.99, role=Role.FINAL, metrics={"test_accuracy": 0.97})).plan()
    assert plan.finished
    assert plan.status["state"] == "Succeeded"
    assert plan.status["final"]["metrics"] == {"test_accuracy": 0.97}
    assert plan.status["best"]["number"] == 0
    assert plan.status["counts"]["total"] == 1


def test_its_failure_is_the_study_s_with_the_best_kept() -> None:
    plan = a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.9), failed("OutOfMemory", role=Role.FINAL)).plan()
    assert (plan.status["state"], _reason(plan)) == ("Failed", "FinalRunFailed")
    assert plan.status["final"]["message"] == "OutOfMemory!"
    assert plan.status["best"]["number"] == 0
    assert plan.finished


def test_it_has_attempts_like_any_trial() -> None:
    plan = a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.9), ended(75, role=Role.FINAL)).plan()
    assert StartRun(1, 1) in plan.actions


def test_once_it_exists_the_search_stays_closed() -> None:
    scene = a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.9), running(role=Role.FINAL))
    plan = scene.edited(limits__trials=5, **FINAL).with_suggestions().plan()
    assert not any(isinstance(action, CreateTrial) for action in plan.actions)
    done = scene.with_trials().edited(limits__trials=5, **FINAL)
    assert done.plan().status["state"] == "Finishing"


def test_edited_away_it_is_stopped() -> None:
    scene = a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.9), running(role=Role.FINAL))
    plan = scene.edited(limits__trials=1).plan()
    assert plan.actions[1] == StopRun(1, 0, "FinalRunNotWanted")
    record = plan.actions[0]
    assert isinstance(record, RecordResult)
    assert record.result.state is TrialState.STOPPED
    assert plan.status["state"] == "Succeeded"


def test_edited_in_later_it_still_runs() -> None:
    scene = a_study(limits__trials=1).with_trials(succeeded(0.9))
    assert scene.plan().finished
    plan = scene.edited(limits__trials=1, **FINAL).plan()
    assert [type(action) for action in plan.actions] == [CreateTrial, StartRun]


def test_a_start_that_crashed_halfway_is_finished() -> None:
    plan = a_study(limits__trials=1, **FINAL).with_trials(succeeded(0.9), pending(role=Role.FINAL)).plan()
    assert plan.actions == (StartRun(1, 0),)


def _reason(plan: Plan) -> str:
    return str(plan.status["conditions"][0]["reason"])
