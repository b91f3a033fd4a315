"""A study's life on a real API server: from apply to best, its edits, and its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.operated import (
    condition,
    live_pods,
    nothing_left,
    operated_plane,
    promises_kept,
    states,
    trials,
    until,
)
from tests.operator_process import AGENT, OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule

LONG = Rule(end="never", labels={"tuning.study/study": "long"})


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.7, jitter=0.4, rules=[LONG]):
        yield cluster


@pytest.fixture
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    return plane.new_namespace("op")


def test_a_study_runs_from_apply_to_best(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("first", trials=10, parallel=3), namespace)

    study = wait_for_state(plane, namespace, "first", "Succeeded", "Failed", "Stalled")

    ledger = trials(plane, namespace, "first")
    values = {t["metadata"]["name"]: t["status"]["result"]["values"]["loss"] for t in ledger}
    best = study["status"]["best"]
    assert study["status"]["state"] == "Succeeded"
    assert [t["spec"]["number"] for t in ledger] == list(range(10))
    assert best["trial"] == min(values, key=lambda name: values[name])
    assert best["parameters"] == ledger[best["number"]]["spec"]["parameters"]
    assert study["status"]["counts"] == {
        "total": 10, "pending": 0, "running": 0, "paused": 0, "succeeded": 10, "failed": 0, "stopped": 0,
    }  # fmt: skip
    assert condition(study, "Ready")["status"] == "True"
    facts = promises_kept(plane, namespace, "first")
    assert len(facts) > 40


def test_a_trial_costs_at_most_five_writes_and_nothing_else_is_written(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("cheap", trials=12, parallel=4), namespace)
    wait_for_state(plane, namespace, "cheap", "Succeeded")

    writes = [
        event
        for event in plane.audit_events()
        if (event.get("objectRef") or {}).get("namespace") == namespace
        and event.get("userAgent", "").startswith(AGENT)
        and event["verb"] not in ("get", "list", "watch")
    ]
    readers = {
        (event["verb"], event["objectRef"]["resource"])
        for event in plane.audit_events()
        if event.get("userAgent", "").startswith("kopf") and event.get("objectRef")
    }

    assert len(writes) / 12 <= 5
    assert {verb for verb, _ in readers} <= {"get", "list", "watch"}
    assert {resource for _, resource in readers} == {"tuningstudies", "tuningtrials", "jobs", "pods"}


def test_a_user_defined_image_gets_its_parameters_and_our_labels(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("words", trials=1, parallel=1), namespace)
    wait_for_state(plane, namespace, "words", "Succeeded")

    (job,), (trial,) = plane.client.list("jobs", namespace), trials(plane, namespace, "words")
    container = job["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert float(env["TUNING_PARAM_LR"]) == trial["spec"]["parameters"]["lr"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert job["metadata"]["ownerReferences"][0]["uid"] == trial["metadata"]["uid"]
    assert trial["metadata"]["ownerReferences"][0]["kind"] == "TuningStudy"
    assert "finalizers" not in plane.client.get("tuningstudies", "words", namespace)["metadata"]


def test_deleting_a_running_study_leaves_nothing(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("long", trials=50, parallel=3), namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 3, what="three pods")

    plane.client.delete("tuningstudies", "long", namespace)

    nothing_left(plane, namespace)


def test_suspending_stops_the_pods_and_resuming_goes_on_with_the_same_trials(
    plane: ControlPlane, namespace: str
) -> None:
    plane.client.create("tuningstudies", a_study("long", trials=3, parallel=2), namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 2, what="two pods")

    plane.client.patch("tuningstudies", "long", {"spec": {"suspend": True}}, namespace)
    wait_for_state(plane, namespace, "long", "Suspended")
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    before = [trial["spec"] for trial in trials(plane, namespace, "long")]
    plane.client.patch("tuningstudies", "long", {"spec": {"suspend": False}}, namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 2, what="two pods again")

    assert [trial["spec"] for trial in trials(plane, namespace, "long")] == before
    attempts = {pod["metadata"]["labels"]["tuning.study/attempt"] for pod in live_pods(plane, namespace)}
    assert attempts == {"1"}
    plane.client.delete("tuningstudies", "long", namespace)


def test_limits_are_edited_while_the_study_runs(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("edited", trials=200, parallel=1), namespace)
    until(plane, namespace, "edited", "a first result", lambda s: s.get("status", {}).get("best"))

    plane.client.patch("tuningstudies", "edited", {"spec": {"limits": {"parallel": 4}}}, namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 4, what="four at once")
    plane.client.patch("tuningstudies", "edited", {"spec": {"limits": {"trials": 8}}}, namespace)
    study = wait_for_state(plane, namespace, "edited", "Succeeded")

    assert len(trials(plane, namespace, "edited")) >= 8
    assert study["status"]["observedGeneration"] == 3
    promises_kept(plane, namespace, "edited")


def test_reaching_the_target_stops_what_still_runs(plane: ControlPlane, namespace: str) -> None:
    study = a_study("aimed", trials=200, parallel=4, objectives=[{"metric": "loss", "goal": "Minimize", "target": 3}])
    plane.client.create("tuningstudies", study, namespace)

    done = wait_for_state(plane, namespace, "aimed", "Succeeded")

    assert condition(done, "Succeeded")["reason"] == "TargetReached"
    assert done["status"]["best"]["values"]["loss"] <= 3
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    assert set(states(plane, namespace, "aimed")) <= {"Succeeded", "Stopped"}
    promises_kept(plane, namespace, "aimed")


def test_a_study_re_created_under_its_name_is_another_study(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("again", trials=20, parallel=2), namespace)
    until(plane, namespace, "again", "a first result", lambda s: s.get("status", {}).get("best"))

    plane.client.delete("tuningstudies", "again", namespace)
    eventually(lambda: plane.client.find("tuningstudies", "again", namespace) is None)
    plane.client.create("tuningstudies", a_study("again", trials=3, parallel=2), namespace)
    study = wait_for_state(plane, namespace, "again", "Succeeded")

    eventually(lambda: len(plane.client.list("tuningtrials", namespace)) == 3, what="only the new study's trials")
    owners = {t["metadata"]["ownerReferences"][0]["uid"] for t in trials(plane, namespace, "again")}
    assert owners == {study["metadata"]["uid"]}
    assert study["status"]["counts"]["total"] == 3


def test_two_studies_of_one_name_in_two_namespaces(plane: ControlPlane, namespace: str) -> None:
    other = plane.new_namespace("op")
    plane.client.create("tuningstudies", a_study("same", trials=4, parallel=2), namespace)
    plane.client.create("tuningstudies", a_study("same", trials=5, parallel=2), other)

    wait_for_state(plane, namespace, "same", "Succeeded")
    wait_for_state(plane, other, "same", "Succeeded")

    assert len(trials(plane, namespace, "same")) == 4
    assert len(trials(plane, other, "same")) == 5
    for each in (namespace, other):
        promises_kept(plane, each, "same")


def test_a_deleted_status_comes_back_the_same(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("shown", trials=3, parallel=3), namespace)
    before = wait_for_state(plane, namespace, "shown", "Succeeded")["status"]

    gone = [{"op": "remove", "path": "/status"}]
    plane.client.patch(
        "tuningstudies", "shown", gone, namespace, subresource="status", content_type="application/json-patch+json"
    )

    again = until(plane, namespace, "shown", "a status", lambda s: s.get("status", {}).get("best"))["status"]
    for status in (before, again):
        for each in status["conditions"]:
            del each["lastTransitionTime"]
    assert again == before


def test_the_operator_tells_about_itself(plane: ControlPlane, operator: OperatorProcess, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("told", trials=2, parallel=2), namespace)
    wait_for_state(plane, namespace, "told", "Succeeded")

    metrics = operator.get("/metrics")

    assert "tuning_operator_leader 1.0" in metrics
    assert "tuning_operator_reconcile_seconds_count" in metrics
    assert 'tuning_operator_trials{state="Succeeded"}' in metrics
    assert operator.get("/healthz") == operator.get("/readyz") == "ok\n"
    events = plane.client.list("events.events.k8s.io", namespace)
    reasons = {e["reason"] for e in events if e.get("regarding", {}).get("kind") == "TuningStudy"}
    assert {"Started", "Succeeded"} <= reasons
