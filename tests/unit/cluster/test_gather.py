"""What is seen of Jobs and pods, and what it means for a run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.cluster.builders import (
    MOMENT,
    UID,
    a_study,
    raw_job,
    raw_pod,
    raw_study,
    raw_trial,
    terminated,
)
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cluster.act import in_their_order
from tuning_operator.cluster.gather import gather, holes, runs_of
from tuning_operator.cluster.seen import job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Known, Store
from tuning_operator.core.model import QUEUED, Action, CreateTrial, Run, RunState, StartRun, StopRun
from tuning_operator.search.types import Suggestion
from tuning_operator.search.warmstart import Learned

LATER = "2026-01-31T12:00:05Z"
REPORT = '{"v":1,"step":3,"final":{"loss":0.5},"done":true}'


def known(*objects: dict[str, Any]) -> Known:
    store = Store()
    store.put(study_seen(raw_study()))
    for raw in objects:
        for decode in (trial_seen, job_seen, pod_seen):
            kind = "pod" if "containers" in raw["spec"] else "trial" if "number" in raw["spec"] else "job"
            if decode.__name__.startswith(kind):
                seen = decode(raw)
                assert seen is not None
                store.put(seen)
    found = store.get(("ns", "digits"))
    assert found is not None
    return found


def run_of(job: dict[str, Any] | None, pod: dict[str, Any] | None) -> Run:
    (run,) = runs_of(known(raw_trial(0), *(raw for raw in (job, pod) if raw is not None))).values()
    return run


WAITING, RUNNING, STOPPING, ENDED = RunState.WAITING, RunState.RUNNING, RunState.STOPPING, RunState.ENDED
LOST = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}]
PULL = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
UP = {"running": {"startedAt": "2026-01-31T12:00:00Z"}}
NO_NODE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]


@pytest.mark.parametrize(
    ("job", "pod", "want"),
    [
        pytest.param(raw_job(), None, {"state": WAITING}, id="a Job without a pod waits"),
        pytest.param(raw_job(), raw_pod(state=CREATING), {"state": WAITING, "reason": ""}, id="starting is no reason"),
        pytest.param(raw_job(), raw_pod(state=PULL), {"state": WAITING, "reason": "ErrImagePull"}, id="no image"),
        pytest.param(
            raw_job(), raw_pod(conditions=NO_NODE), {"state": WAITING, "reason": "Unschedulable"}, id="no node"
        ),
        pytest.param(raw_job(), raw_pod(phase="Running", state=UP), {"state": RUNNING}, id="it runs"),
        pytest.param(
            raw_job(), raw_pod(phase="Running", state=UP, deleting=True), {"state": STOPPING}, id="its pod is deleted"
        ),
        pytest.param(
            raw_job(deleting=True), raw_pod(phase="Running", state=UP), {"state": STOPPING}, id="its Job is deleted"
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Succeeded", state=terminated(0, message=REPORT)),
            {"state": ENDED, "exit_code": 0, "disrupted": False},
            id="done, seen on the pod while the Job still says nothing",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", state=terminated(137, reason="OOMKilled")),
            {"state": ENDED, "exit_code": 137, "reason": "OOMKilled", "disrupted": False},
            id="out of memory",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", state=terminated(1, reason="Error", message="boom")),
            {"state": ENDED, "exit_code": 1, "reason": "", "message": "boom"},
            id="an exit code with its last words",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", state=terminated(143), conditions=LOST),
            {"state": ENDED, "exit_code": 143, "disrupted": True},
            id="evicted by the API",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            {"state": ENDED, "exit_code": None, "reason": "Evicted", "disrupted": True},
            id="evicted by a node under pressure",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", reason="Evicted", message="Pod ephemeral local storage usage exceeds the limit"),
            {"state": ENDED, "reason": "Evicted", "disrupted": False},
            id="evicted for its own use of storage is its fault",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", reason="DeadlineExceeded", message="too long"),
            {"state": ENDED, "reason": "DeadlineExceeded", "disrupted": False},
            id="too long, says the kubelet",
        ),
        pytest.param(
            raw_job(condition="FailureTarget", reason="DeadlineExceeded"),
            raw_pod(phase="Failed", state=terminated(143), deleting=True),
            {"state": ENDED, "reason": "DeadlineExceeded", "disrupted": False},
            id="too long, says the Job",
        ),
        pytest.param(
            raw_job(condition="FailureTarget", reason="BackoffLimitExceeded"),
            raw_pod(phase="Failed", state=terminated(143), deleting=True),
            {"state": ENDED, "disrupted": True},
            id="deleted by hand",
        ),
        pytest.param(
            raw_job(),
            raw_pod(phase="Failed", state=terminated(143), deleting=True),
            {"state": STOPPING},
            id="deleted, and the Job has not yet said by whom",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            None,
            {"state": WAITING, "reason": QUEUED, "started_at": None},
            id="a Job that a queue holds waits",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            raw_pod(phase="Running", state=UP),
            {"state": STOPPING},
            id="its place is taken back, and its pod still runs",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            raw_pod(phase="Failed", state=terminated(143), deleting=True),
            {"state": WAITING, "reason": QUEUED, "disrupted": False, "exit_code": None},
            id="its place is taken back: it waits again",
        ),
        pytest.param(
            raw_job(began=LATER),
            raw_pod(phase="Failed", state=terminated(137), deleting=True),
            {"state": WAITING, "reason": QUEUED, "disrupted": False},
            id="let run again, and its next pod is not there yet",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            raw_pod(phase="Succeeded", state=terminated(0), deleting=True),
            {"state": ENDED, "exit_code": 0},
            id="done in the moment in which its place was taken back",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            raw_pod(phase="Failed", state=terminated(43), deleting=True),
            {"state": ENDED, "exit_code": 43},
            id="out of memory in the moment in which its place was taken back",
        ),
        pytest.param(
            raw_job(suspended=MOMENT),
            raw_pod(phase="Failed", state=terminated(143), deleting=True, conditions=LOST),
            {"state": ENDED, "disrupted": True},
            id="evicted while its place was taken back is lost",
        ),
        pytest.param(
            raw_job(suspended=MOMENT, deleting=True),
            raw_pod(phase="Failed", state=terminated(143), deleting=True),
            {"state": ENDED, "disrupted": True},
            id="a suspended Job that is deleted comes to its end",
        ),
        pytest.param(
            raw_job(condition="Failed", reason="BackoffLimitExceeded"),
            None,
            {"state": ENDED, "exit_code": None, "disrupted": True},
            id="a failed Job without a pod lost it",
        ),
        pytest.param(
            raw_job(condition="Complete"),
            None,
            {"state": ENDED, "exit_code": 0, "unread": True},
            id="a complete Job without a pod: what it left was not read",
        ),
        pytest.param(
            None, raw_pod(phase="Running", state=UP), {"state": RUNNING}, id="a pod whose Job is not known (any more)"
        ),
    ],
)
def test_what_a_run_is(job: dict[str, Any] | None, pod: dict[str, Any] | None, want: dict[str, Any]) -> None:
    run = run_of(job, pod)
    assert {key: getattr(run, key) for key in want} == want


def test_the_report_comes_from_the_termination_message() -> None:
    run = run_of(raw_job(), raw_pod(phase="Succeeded", state=terminated(0, message=REPORT)))
    assert run.report is not None
    assert run.report.final == {"loss": 0.5}
    assert run.started_at == run.ended_at == run.created_at


HELD: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 0),
    "whole devices": ({"nvidia.com/gpu": "4", "memory": "8Gi"}, 4),
    "parts of one": ({"nvidia.com/mig-1g.10gb": 2, "nvidia.com/mig-3g.40gb": "1"}, 3),
    "what is not an accelerator": ({"rdma/hca": "8", "nvidia.com/gpu": "1"}, 1),
}


@pytest.mark.parametrize(("limits", "want"), HELD.values(), ids=HELD)
def test_accelerators_are_counted_on_the_pod(limits: dict[str, Any], want: int) -> None:
    pod = raw_pod(phase="Running", state=UP)
    pod["spec"]["containers"][0]["resources"] = {"limits": limits}
    found = known(raw_trial(0), raw_job(), pod)
    found.study = a_study()
    (run,) = runs_of(found).values()
    assert run.accelerators == want


def test_a_claimed_device_is_an_accelerator_and_each_worker_has_its_own() -> None:
    pod = raw_pod(phase="Running", state=UP)
    pod["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] = "0"
    job = raw_job()
    job["spec"]["completions"] = 3
    found = known(raw_trial(0), job, pod)
    found.study = a_study()
    (run,) = runs_of(found).values()
    assert run.accelerators == 3


def test_a_pod_of_a_former_job_of_that_name_does_not_count() -> None:
    job = raw_job()
    job["metadata"]["uid"] = "another"
    assert run_of(job, raw_pod(phase="Failed", state=terminated(1))).state is WAITING


def test_what_is_left_of_a_deleted_trial_is_waited_for_and_says_nothing() -> None:
    job = raw_job()
    job["metadata"]["ownerReferences"][0]["uid"] = "of-the-deleted-one"
    pod = raw_pod(phase="Running", state=UP)
    (run,) = runs_of(known(raw_trial(0), job)).values()
    assert (run.trial, run.attempt, run.state) == (0, 0, STOPPING)
    ended = raw_pod(phase="Succeeded", state=terminated(0, message=REPORT))
    for objects in [(raw_trial(0), job, pod), (raw_trial(0), job, ended), (job, pod), (job, ended), (pod,)]:
        (run,) = runs_of(known(*objects)).values()
        assert (run.trial, run.attempt, run.state, run.report, run.started_at) == (0, 0, STOPPING, None, None)
    assert runs_of(known(ended)) == {}


def test_a_job_without_an_owner_does_not_count() -> None:
    job = raw_job()
    del job["metadata"]["ownerReferences"]
    assert runs_of(known(raw_trial(0), job)) == {}


def test_a_pod_that_is_gone_without_last_words_is_a_lost_attempt() -> None:
    store = Store()
    store.put(study_seen(raw_study()))
    for seen in (trial_seen(raw_trial(0)), pod_seen(raw_pod(phase="Running", state=UP))):
        assert seen is not None
        store.put(seen)
    pod = pod_seen(raw_pod(phase="Running", state=UP, version=5))
    assert pod is not None
    store.remove(pod, at=77.0)
    (run,) = runs_of(store.studies["ns", "digits"]).values()
    assert (run.state, run.disrupted, run.exit_code, run.ended_at) == (ENDED, True, None, 77.0)


def test_a_hole_in_the_ledger_stands_as_a_trial_to_be_created() -> None:
    found = known(raw_trial(0), raw_trial(2))
    suggestion = Suggestion({"lr": 0.5}, "TPE", 0)
    snapshot = gather(
        found, a_study(), suggestions={1: suggestion, 3: suggestion}, exhausted=False, stuck=None, learned=Learned()
    )
    assert holes(found) == [1]
    assert [trial.number for trial in snapshot.trials] == [0, 1, 2]
    assert snapshot.trials[1].suggestion is suggestion
    assert snapshot.suggestions == {3: suggestion}
    with pytest.raises(KeyError):
        gather(found, a_study(), suggestions={}, exhausted=False, stuck=None, learned=Learned())


def a_further_run(number: int) -> dict[str, Any]:
    raw = raw_trial(number)
    return raw | {"spec": raw["spec"] | {"role": "Confirm"}}


@pytest.mark.parametrize(
    ("search", "further", "want"),
    [
        pytest.param([0, 1, 2], [4, 5], [], id="the first further run, and no trial of the search"),
        pytest.param([0, 1], [3, 4], [2], id="the search's last one"),
        pytest.param([0, 2], [3, 5], [1], id="one of the search and a further run"),
        pytest.param([0, 1, 2], [4], [], id="all further runs but one"),
    ],
)
def test_what_is_missing_after_the_search_was_deleted_and_stays_so(
    search: list[int], further: list[int], want: list[int]
) -> None:
    found = known(*map(raw_trial, search), *map(a_further_run, further))
    study = found.study = a_study(limits={"trials": 3})
    assert holes(found) == want
    suggestions = {number: Suggestion({"lr": 0.5}, "TPE", 0) for number in want}
    trials = gather(found, study, suggestions=suggestions, exhausted=False, stuck=None, learned=Learned()).trials
    assert [trial.number for trial in trials] == list(range(max(further) + 1))
    gone = {trial.number for trial in trials if trial.result is not None}
    assert gone == set(range(max(further))) - {*search, *further, *want}
    assert {trials[number].role for number in want} <= {Role.SEARCH}


def test_what_comes_after_the_search_is_created_in_its_order() -> None:
    made = Suggestion({"lr": 0.5}, "TPE", 0)
    roles = {3: Role.SEARCH, 6: Role.CONFIRM, 5: Role.CONFIRM, 4: Role.SEARCH}
    chains: dict[int, list[Action]] = {
        number: [CreateTrial(number, role, made), StartRun(number, 0)] for number, role in roles.items()
    }
    chains[2] = [StopRun(2, 0, "")]
    in_their_order(chains)
    assert {number: [type(each).__name__ for each in chain] for number, chain in chains.items()} == {
        2: ["StopRun"],
        3: ["CreateTrial", "StartRun"],
        4: ["CreateTrial", "StartRun"],
        5: ["CreateTrial", "StartRun"] * 2,
    }
    assert [action.number for action in chains[5] if isinstance(action, CreateTrial)] == [5, 6]


def test_another_studys_trials_do_not_count() -> None:
    assert known(raw_trial(0, owner="other-uid")).trials == {}
    assert known(raw_trial(0)).uid == UID
    assert math.isfinite(known(raw_trial(0)).trials[0].trial.created_at)


def test_a_trial_that_is_said_to_pause_without_a_rung_waits() -> None:
    (trial,) = known(raw_trial(0, state="Paused")).trials.values()
    assert trial.trial.recorded_state is TrialState.PENDING
