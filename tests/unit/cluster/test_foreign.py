"""What is seen of trials that are no Jobs: objects whose study says when they have ended, and their pods."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.unit.cluster.builders import MOMENT, a_study, raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.cluster.client import Kind
from tuning_operator.cluster.foreign import Reading, compile_condition, reading_of
from tuning_operator.cluster.gather import runs_of
from tuning_operator.cluster.seen import job_seen, object_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Known, Store
from tuning_operator.core.model import OBJECT_FAILED, QUEUED, Run, RunState

Object = dict[str, Any]

SETS = Kind("jobset.x-k8s.io", "v1alpha2", "jobsets")
MAIN, OTHER = {"role": "main"}, {"role": "other"}
READING = Reading(
    compile_condition('object.status.conditions.exists(c, c.type == "Completed" && c.status == "True")'),
    compile_condition('object.status.conditions.exists(c, c.type == "Failed" && c.status == "True")'),
    MAIN,
)
LATER = "2026-01-31T12:00:05Z"
REPORT = '{"v":1,"step":3,"final":{"loss":0.5},"done":true}'
UP = {"running": {"startedAt": MOMENT}}
LOST = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}]
WAITING, RUNNING, STOPPING, ENDED = RunState.WAITING, RunState.RUNNING, RunState.STOPPING, RunState.ENDED


def an_object(*, at: str = LATER, **changes: Any) -> Object:
    body = raw_job(**changes)
    body["metadata"]["ownerReferences"][0]["kind"] = "TuningTrial"
    for condition in body["status"]["conditions"]:
        condition.setdefault("lastTransitionTime", at)
    return body


def a_pod(role: dict[str, str], *, name: str = "a", since: str = MOMENT, **changes: Any) -> Object:
    pod = raw_pod(**changes)
    pod["metadata"] |= {"name": name, "uid": f"pod-{name}", "creationTimestamp": since}
    pod["metadata"]["labels"] |= role | {"tuning.study/kind": "JobSet"}
    pod["metadata"]["ownerReferences"] = [{"uid": "somebody", "controller": True, "kind": "Job"}]
    return pod


def known(body: Object | None, *pods: Object, reading: Reading | None = READING, gone: tuple[str, ...] = ()) -> Known:
    store = Store()
    store.put(study_seen(raw_study()))
    found = store.get(("ns", "digits"))
    assert found is not None
    found.read_by(reading)
    decode = partial(object_seen, kind=SETS, suspend=("suspend",))
    for seen in (trial_seen(raw_trial(0)), decode(body) if body is not None else None, *map(pod_seen, pods)):
        if seen is not None:
            store.put(seen)
    for pod in pods:
        seen_pod = pod_seen(pod)
        if seen_pod is not None and pod["metadata"]["name"] in gone:
            store.remove(seen_pod, at=1_769_860_805.0)
    return found


def run_of(body: Object | None, *pods: Object, gone: tuple[str, ...] = ()) -> Run:
    (run,) = runs_of(known(body, *pods, gone=gone)).values()
    return run


DONE = a_pod(MAIN, phase="Succeeded", state=terminated(0, message=REPORT))
BUSY = a_pod(OTHER, name="b", phase="Running", state=UP)


@pytest.mark.parametrize(
    ("body", "pods", "want"),
    [
        pytest.param(an_object(), [], {"state": WAITING, "reason": ""}, id="nothing but the object"),
        pytest.param(
            an_object(),
            [a_pod(MAIN, state={"waiting": {"reason": "ErrImagePull", "message": "no"}})],
            {"state": WAITING, "reason": "ErrImagePull"},
            id="a pod that cannot start says why",
        ),
        pytest.param(
            an_object(), [a_pod(MAIN, phase="Running", state=UP)], {"state": RUNNING}, id="the pod that reports runs"
        ),
        pytest.param(an_object(), [DONE, BUSY], {"state": RUNNING}, id="an end is the object's word"),
        pytest.param(
            an_object(),
            [a_pod(MAIN, phase="Failed", state=terminated(1))],
            {"state": RUNNING},
            id="a failed pod is its controller's matter as long as the object has not failed",
        ),
        pytest.param(
            an_object(condition="Completed"),
            [DONE],
            {"state": ENDED, "exit_code": 0, "lingers": False, "unread": False, "ended_at": 1_769_860_805.0},
            id="done",
        ),
        pytest.param(
            an_object(condition="Completed"),
            [DONE, BUSY],
            {"state": ENDED, "exit_code": 0, "lingers": True, "live": True},
            id="done, and a pod is left that holds the slot",
        ),
        pytest.param(
            an_object(condition="Completed"), [], {"state": ENDED, "unread": True}, id="done, and its pods are gone"
        ),
        pytest.param(
            an_object(condition="Completed"),
            [a_pod(OTHER, phase="Succeeded", state=terminated(0))],
            {"state": ENDED, "unread": False, "report": None},
            id="done, and no pod has the labels of the one that reports",
        ),
        pytest.param(
            an_object(condition="Failed"),
            [BUSY, a_pod(OTHER, name="c", phase="Failed", state=terminated(43))],
            {"state": ENDED, "exit_code": 43, "disrupted": False, "lingers": True},
            id="failed by a pod that ran out of memory",
        ),
        pytest.param(
            an_object(condition="Failed"),
            [a_pod(MAIN, phase="Failed", conditions=LOST, state=terminated(143))],
            {"state": ENDED, "disrupted": True},
            id="failed by a pod that was evicted",
        ),
        pytest.param(
            an_object(condition="Failed", reason="BadSpec"),
            [],
            {"state": ENDED, "reason": OBJECT_FAILED, "message": "BadSpec", "disrupted": False},
            id="failed without a pod",
        ),
        pytest.param(
            an_object(deleting=True, condition="Completed"), [DONE], {"state": STOPPING}, id="deleted, and still there"
        ),
        pytest.param(None, [BUSY], {"state": STOPPING}, id="gone, and a pod still runs"),
        pytest.param(None, [DONE], {"state": ENDED, "disrupted": True}, id="gone, and what it came to is not known"),
        pytest.param(
            an_object(suspended=LATER), [], {"state": WAITING, "reason": QUEUED, "started_at": None}, id="queued"
        ),
        pytest.param(an_object(suspended=LATER), [BUSY], {"state": STOPPING}, id="its place is being taken back"),
        pytest.param(
            an_object(suspended=LATER),
            [a_pod(MAIN, phase="Failed", state=terminated(143))],
            {"state": WAITING, "reason": QUEUED, "ended_at": 1_769_860_800.0},
            id="its place was taken back",
        ),
    ],
)
def test_the_object_says_how_it_ended_and_its_pods_why(
    body: Object | None, pods: list[Object], want: dict[str, Any]
) -> None:
    run = run_of(body, *pods)
    assert {name: getattr(run, name) for name in want} == want


def test_the_report_is_the_one_of_the_pod_that_reports() -> None:
    other = a_pod(OTHER, name="b", phase="Succeeded", state=terminated(0, message=REPORT.replace("0.5", "0.1")))
    run = run_of(an_object(condition="Completed"), other, DONE)
    assert run.report is not None
    assert run.report.final == {"loss": 0.5}


@pytest.mark.parametrize(
    ("failed_at", "disrupted"),
    [
        pytest.param("2026-01-31T12:00:09Z", True, id="a pod deleted by hand, for which the controller gave up"),
        pytest.param("2026-01-31T12:00:01Z", False, id="pods that the controller took away since the object failed"),
    ],
)
def test_whose_deletion_of_a_pod_it_was_tells_the_time(failed_at: str, disrupted: bool) -> None:
    pod = a_pod(MAIN, phase="Running", state=UP)
    run = run_of(an_object(condition="Failed", at=failed_at), pod, gone=("a",))
    assert run.disrupted is disrupted


def test_pods_of_an_object_that_had_the_name_before_do_not_count() -> None:
    run = run_of(an_object(), a_pod(MAIN, since="2026-01-31T11:00:00Z", phase="Running", state=UP))
    assert run.state is WAITING


def test_children_with_our_labels_are_nobodys_attempt() -> None:
    child = raw_job()
    child["metadata"]["ownerReferences"] = [{"uid": "set", "controller": True, "kind": "JobSet"}]
    assert job_seen(child) is None


def test_what_is_seen_before_the_spec_is_read_is_judged_then() -> None:
    found = known(an_object(condition="Completed"), DONE, reading=None)
    (run,) = runs_of(found).values()
    assert run.state is not ENDED
    found.read_by(READING)
    (run,) = runs_of(found).values()
    assert run.state is ENDED


def test_devices_of_all_its_pods_are_what_it_holds() -> None:
    pods = [a_pod(MAIN, phase="Running", state=UP), BUSY]
    limits = {"limits": {"nvidia.com/gpu": "2"}}
    pods = [pod | {"spec": {"containers": [{"name": "main", "resources": limits}]}} for pod in pods]
    found = known(an_object(), *pods)
    found.study = a_study()
    (run,) = runs_of(found).values()
    assert run.accelerators == 4


def test_a_job_needs_no_reading() -> None:
    assert reading_of(a_study().spec) is None
