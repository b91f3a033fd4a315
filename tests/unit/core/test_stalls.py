"""Trials that cannot start: the study stalls with the reason instead of burning its budget, and goes on by itself."""

import pytest

from tests.unit.core.builders import (
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
)
from tuning_operator.core.model import CreateTrial, RecordResult, StartRun, StopRun

STALLS: dict[str, tuple[Scene, str, str]] = {
    "an image that does not exist, after a minute": (
        a_study().with_trials(waiting("ErrImagePull", since=0)).at(61),
        "ErrImagePull",
        "trial 0 cannot start: ErrImagePull!",
    ),
    "a name that is none of an image, after half a minute": (
        a_study().with_trials(waiting("InvalidImageName")).at(31),
        "InvalidImageName",
        "InvalidImageName!",
    ),
    "a Secret that is not there, after half a minute": (
        a_study().with_trials(waiting("CreateContainerConfigError")).at(31),
        "CreateContainerConfigError",
        "trial 0",
    ),
    "a Job whose pods are refused, after half a minute": (
        a_study().with_trials(waiting("FailedCreate")).at(31),
        "FailedCreate",
        "trial 0 cannot start: FailedCreate!",
    ),
    "a command that is not there": (
        a_study().with_trials(ended(127, ended=10)).at(11),
        "CommandFailed",
        "exit code 127. Repair its image or its command",
    ),
    "a container that cannot be created": (
        a_study().with_trials(ended(128, reason="StartError", message="exec: no such file", ended=10)).at(11),
        "StartError",
        "exec: no such file",
    ),
    "a service account that may not be used": (
        a_study().with_trials(pending()).with_problem(0, "Forbidden"),
        "Forbidden",
        "trial 0 cannot be started: Forbidden!",
    ),
    "a template that the API server refuses": (
        a_study().with_trials(pending()).with_problem(0, "Invalid"),
        "Invalid",
        "Invalid!",
    ),
    "a spec that contradicts itself": (
        a_study().invalid("parameters[0].float: min 2 > max 1: swap them"),
        "InvalidSpec",
        "min 2 > max 1: swap them",
    ),
}


@pytest.mark.parametrize("case", STALLS)
def test_a_stalled_study_says_why_and_starts_no_new_trial(case: str) -> None:
    scene, reason, words = STALLS[case]
    plan = scene.plan()
    stalled = next(c for c in plan.status["conditions"] if c["type"] == "Stalled")
    assert plan.status["state"] == "Stalled"
    assert (stalled["status"], stalled["reason"]) == ("True", reason)
    assert words in stalled["message"]
    assert not any(isinstance(action, CreateTrial | RecordResult) for action in plan.actions), "the budget is untouched"
    assert any(event.reason == "Stalled" and event.type == "Warning" for event in plan.events)
    assert not plan.finished


WAITS: dict[str, tuple[Scene, str | None]] = {
    "an image that is being fetched for the first time": (a_study().with_trials(waiting("ErrImagePull")).at(59), None),
    "a container that is being made": (a_study().with_trials(waiting("ContainerCreating")).at(500), None),
    "a Job whose pod the quota refuses": (
        a_study().with_trials(waiting("QuotaExceeded")).at(500),
        "QuotaExceeded",
    ),
    "a queue holds the Job back": (a_study().with_trials(waiting("Queued")).at(500), "Queued"),
    "no node has room": (a_study().with_trials(waiting("Unschedulable")).at(500), "Unschedulable"),
    "the quota is used up": (
        a_study().with_trials(running(), pending()).with_problem(1, "QuotaExceeded", since=0).at(500),
        "QuotaExceeded",
    ),
    "the API server is busy": (
        a_study().with_trials(pending()).with_problem(0, "TooManyRequests", since=0).at(500),
        "TooManyRequests",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_passes_by_itself_is_waited_for(case: str) -> None:
    scene, reason = WAITS[case]
    plan = scene.plan()
    by_type = {c["type"]: c for c in plan.status["conditions"]}
    assert plan.status["state"] == "Running"
    assert by_type["Stalled"]["status"] == "False"
    assert by_type["Reconciling"]["status"] == "True"
    if reason is not None:
        assert by_type["Reconciling"]["reason"] == reason
        assert f"{reason}!" in by_type["Reconciling"]["message"]


def test_an_unschedulable_trial_is_pending_in_the_counts() -> None:
    counts = a_study(limits__trials=1).with_trials(waiting("Unschedulable")).plan().status["counts"]
    assert (counts["pending"], counts["running"]) == (1, 0)


def test_under_a_quota_only_one_trial_tries_and_no_new_one_is_made() -> None:
    scene = a_study(limits__parallel=4).with_trials(running(), pending(), pending())
    scene = scene.with_problem(1, "QuotaExceeded").with_problem(2, "QuotaExceeded")
    assert scene.plan().actions == (StartRun(1, 0),)


def test_refused_starts_are_tried_ever_later() -> None:
    scene = a_study(limits__trials=1).with_trials(pending())
    soon = scene.with_problem(0, "QuotaExceeded", since=90, tried=98).at(100).plan()
    assert not soon.actions
    assert soon.requeue_after == pytest.approx(6.0), "eight seconds old when it was last tried: eight more"
    assert scene.with_problem(0, "QuotaExceeded", since=90, tried=98).at(106).plan().actions == (StartRun(0, 0),)


def test_a_run_that_ends_may_have_freed_quota() -> None:
    scene = a_study(limits__parallel=2).with_trials(ended(0, report=a_report()), pending())
    plan = scene.with_problem(1, "QuotaExceeded", since=0, tried=99).at(100).plan()
    assert StartRun(1, 0) in plan.actions


def test_a_stall_ends_by_itself() -> None:
    stalled = a_study(limits__parallel=1).with_trials(waiting("ErrImagePull")).at(100).plan()
    healed = a_study(limits__parallel=1).with_trials(running()).with_status(stalled.status).plan()
    assert healed.status["state"] == "Running"


def test_what_runs_already_goes_on_in_a_stalled_study() -> None:
    plan = a_study(limits__parallel=3).with_trials(running(), waiting("ErrImagePull")).at(100).plan()
    assert not plan.actions
    plan = a_study(limits__parallel=3).with_trials(ended(0, report=a_report()), waiting("ErrImagePull")).at(100).plan()
    assert [type(action) for action in plan.actions] == [RecordResult]


def test_a_command_that_cannot_start_is_tried_again_ever_later() -> None:
    scene = a_study(limits__parallel=1).with_trials(ended(127, ended=10))
    first = scene.at(11).plan()
    assert not any(isinstance(action, StartRun) for action in first.actions)
    assert first.requeue_after == pytest.approx(29.0)
    assert StartRun(0, 1) in scene.at(40).plan().actions


def test_a_command_that_is_missing_for_one_trial_of_many_is_that_trial_s_failure() -> None:
    plan = a_study().with_trials(succeeded(0.5), ended(127)).plan()
    record = next(action for action in plan.actions if isinstance(action, RecordResult))
    assert record.result.reason == "StartFailed"
    assert "the command was not found" in record.result.message


BIND = {"trial__bind": [{"parameter": "x", "to": "/spec/template/spec/containers/0/image"}]}


def test_a_bound_parameter_that_makes_the_job_impossible_is_that_trial_s_failure() -> None:
    plan = a_study(**BIND).with_trials(succeeded(0.5), waiting("ErrImagePull", since=0)).at(301).plan()
    assert StopRun(1, 0, "StartFailed") in plan.actions
    record = next(action for action in plan.actions if isinstance(action, RecordResult))
    assert (record.result.reason, record.result.infeasible) == ("StartFailed", True)
    refused = a_study(**BIND).with_trials(succeeded(0.5), pending()).with_problem(1, "Invalid", since=0).at(301).plan()
    assert any(isinstance(action, RecordResult) for action in refused.actions)


def test_without_a_bound_parameter_it_stalls_however_long_it_takes() -> None:
    plan = a_study().with_trials(succeeded(0.5), waiting("ErrImagePull", since=0)).at(100_000).plan()
    assert plan.status["state"] == "Stalled"


def test_a_command_that_starts_and_fails_at_once_is_a_failure_with_its_words() -> None:
    plan = (
        a_study(limits__failures=1)
        .with_trials(failed(ended=1), ended(1, ended=2, message="no such option"))
        .at(3)
        .plan()
    )
    assert plan.status["state"] == "Failed"
    assert "Last: trial 1: exit code 1: no such option" in plan.status["conditions"][0]["message"]


def test_a_search_that_waits_for_nothing_stalls_with_its_reason() -> None:
    waits = a_study().without_suggestions().with_trials(succeeded(0.5), running()).stuck("generation 1 is not done")
    assert waits.plan().status["state"] == "Running", "trial 1 may change it; what the search said is older"
    ended = a_study().without_suggestions().with_trials(succeeded(0.5), failed()).stuck("generation 1 is not done")
    plan = ended.plan()
    stalled = {each["type"]: each for each in plan.status["conditions"]}["Stalled"]
    assert (plan.status["state"], stalled["reason"]) == ("Stalled", "SearchWaits")
    assert "the search waits (generation 1 is not done), and no trial is under way" in stalled["message"]
    assert plan.suggest, "it is asked again"
    assert ended.with_suggestions().plan().status["state"] == "Running"


NO_KIND: dict[str, Scene] = {
    "before the first trial": a_study(),
    "with pods left of what ran": a_study().with_trials(stopping()),
    "with a lost run to be made again": a_study().with_trials(ended(None, disrupted=True)),
    "with a trial to be started": a_study().with_trials(pending()),
    "with a trial whose start was refused": a_study().with_trials(pending()).with_problem(0, "Forbidden"),
    "with a trial that waits for quota": a_study().with_trials(pending()).with_problem(0, "QuotaExceeded", tried=0),
}


@pytest.mark.parametrize("case", NO_KIND)
def test_without_its_kind_a_study_stalls_and_loses_no_trial(case: str) -> None:
    plan = NO_KIND[case].without_its_kind("the cluster has no JobSet").plan()
    by_type = {c["type"]: c for c in plan.status["conditions"]}
    assert plan.status["state"] == "Stalled"
    assert (by_type["Stalled"]["reason"], by_type["Stalled"]["message"]) == (
        "KindNotInstalled",
        "the cluster has no JobSet",
    )
    assert not [action for action in plan.actions if isinstance(action, CreateTrial | StartRun | RecordResult)]


def test_a_study_goes_on_once_its_kind_is_back() -> None:
    lost = a_study(limits__parallel=1).with_trials(pending(attempt=1, disruptions=1))
    assert not lost.without_its_kind("the cluster has no JobSet").plan().actions
    assert lost.plan().actions == (StartRun(0, 1),)
