"""Trials in a queue that suspends Jobs, as Kueue does: a real API server and Job controller, and a double of Kueue."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.operated import (
    live_pods,
    nothing_left,
    operated_plane,
    promises_kept,
    states,
    trials,
    until,
    without_lease,
)
from tests.operator_process import AGENT, OperatorProcess, a_study, wait_for_state
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule
from tests.testcluster.queue import FLAVOUR, PRIORITY, QUEUE, Queue

LONG = "long"
SECONDS = 5.0
"""For which a pod of that study runs."""
WAIT = 4.0
"""For which it waits in the queue."""
STEPS = 30
GPUS = 2
HOLD = "test.example/hold"
RULES = [Rule(labels={"tuning.study/study": LONG}, seconds=SECONDS)]

Object = dict[str, Any]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=1, rules=RULES):
        yield cluster


@pytest.fixture
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    return plane.new_namespace("queue")


def a_queued_study(name: str, *, priority: str = "", **more: Any) -> Object:
    study = a_study(name, **more)
    study["metadata"]["labels"] = {QUEUE: "team"} | ({PRIORITY: priority} if priority else {})
    return study


def jobs(plane: ControlPlane, namespace: str) -> list[Object]:
    return plane.client.list("jobs", namespace)


def step_of(pod: Object) -> int:
    """What the pod itself says how far it is; 0 as long as it says nothing."""
    address = pod.get("status", {}).get("podIP")
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=1) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("tuning_step ")), 0)


def test_jobs_wait_in_their_queue_and_run_by_their_priority(plane: ControlPlane, namespace: str) -> None:
    with Queue(plane, quota=0, priorities={"high": 100}) as queue:
        plane.client.create("tuningstudies", a_queued_study("batch", trials=2, parallel=2), namespace)
        eventually(lambda: states(plane, namespace, "batch") == ["Queued", "Queued"], what="two trials in the queue")
        plane.client.create("tuningstudies", a_queued_study("urgent", trials=1, parallel=1, priority="high"), namespace)
        eventually(lambda: len(jobs(plane, namespace)) == 3, what="three Jobs")
        study = until(plane, namespace, "batch", "waits", lambda s: s["status"]["counts"]["pending"] == 2)
        (reconciling,) = [each for each in study["status"]["conditions"] if each["type"] == "Reconciling"]
        assert reconciling["reason"] == "Queued"
        assert "waits in queue 'team'" in reconciling["message"]
        assert live_pods(plane, namespace) == []

        queue.quota = 1
        for name in ("urgent", "batch"):
            assert wait_for_state(plane, namespace, name, "Succeeded", "Failed")["status"]["state"] == "Succeeded"

    found = jobs(plane, namespace)
    assert {job["metadata"]["labels"][QUEUE] for job in found} == {"team"}
    first = min(found, key=lambda job: job["status"]["startTime"])
    assert first["metadata"]["labels"]["tuning.study/study"] == "urgent"
    assert first["metadata"]["labels"][PRIORITY] == "high"
    assert all(job["spec"]["template"]["spec"]["nodeSelector"] == FLAVOUR for job in found)
    promises_kept(plane, namespace, "batch", "urgent")


@pytest.mark.parametrize(
    "away", [pytest.param(False, id="before its eyes"), pytest.param(True, id="while the operator is away")]
)
def test_a_place_that_is_taken_back_is_a_pause_and_no_failure(
    plane: ControlPlane, operator: OperatorProcess, namespace: str, away: bool
) -> None:
    """Suspended in mid-run, its pods are deleted; the same Job goes on from its checkpoint, in the same attempt."""
    study = a_queued_study(LONG, trials=1, parallel=1, fidelity={"min": 1, "max": STEPS}, scheduler={"name": "ASHA"})
    study["spec"]["trial"] |= {
        "checkpoints": {"claimName": a_claim(plane, namespace)},
        "accelerator": {"resource": "nvidia.com/gpu", "count": GPUS},
    }
    with Queue(plane, quota=1) as queue:
        plane.client.create("tuningstudies", study, namespace)
        eventually(lambda: states(plane, namespace, LONG) == ["Running"], what="the trial runs")
        (job,), (pod,) = jobs(plane, namespace), live_pods(plane, namespace)
        name, before = job["metadata"]["name"], eventually(lambda: step_of(pod), what="a step")
        stays(plane, pod)
        if away:
            operator.process.kill()
        taken = time.monotonic()
        queue.take_back(namespace, name)
        conditions = plane.client.get("jobs", name, namespace)["status"]["conditions"]
        assert [each["type"] for each in conditions if each["status"] == "True"] == ["Suspended"]
        may_go(plane, pod)
        if away:
            without_lease(plane)
            operator.start()
        eventually(lambda: states(plane, namespace, LONG) == ["Queued"], what="the trial is queued again")
        time.sleep(max(0.0, taken + WAIT - time.monotonic()))

        queue.give_back(namespace, name)
        (pod,) = eventually(lambda: live_pods(plane, namespace), what="its next pod")
        after = eventually(lambda: step_of(plane.client.get("pods", pod["metadata"]["name"], namespace)), what="a step")
        assert after >= before
        assert wait_for_state(plane, namespace, LONG, "Succeeded", "Failed")["status"]["state"] == "Succeeded"

    (trial,) = trials(plane, namespace, LONG)
    status = trial["status"]
    assert (status["attempt"], status["retries"], status["disruptions"]) == (0, 0, 0)
    assert GPUS * (SECONDS - 3) <= status["acceleratorSeconds"] <= GPUS * (SECONDS + WAIT - 1), (
        "time in the queue is free"
    )
    assert [each["metadata"]["uid"] for each in jobs(plane, namespace)] == [job["metadata"]["uid"]]
    promises_kept(plane, namespace, LONG)
    assert writes_to_jobs(plane, namespace) == ["create"]


def test_a_queued_job_that_is_deleted_by_hand_is_made_again(plane: ControlPlane, namespace: str) -> None:
    with Queue(plane, quota=0) as queue:
        plane.client.create("tuningstudies", a_queued_study("batch", trials=1, parallel=1), namespace)
        eventually(lambda: states(plane, namespace, "batch") == ["Queued"], what="a trial in the queue")
        (job,) = jobs(plane, namespace)
        plane.client.delete("jobs", job["metadata"]["name"], namespace)
        again = eventually(
            lambda: [each for each in jobs(plane, namespace) if each["metadata"]["uid"] != job["metadata"]["uid"]],
            what="another Job",
        )
        assert again[0]["spec"]["suspend"] is True
        queue.quota = 1
        wait_for_state(plane, namespace, "batch", "Succeeded")
    (trial,) = trials(plane, namespace, "batch")
    assert trial["status"]["disruptions"] == 0


def test_a_suspended_study_leaves_the_queue_and_a_deleted_one_leaves_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    with Queue(plane, quota=0):
        plane.client.create("tuningstudies", a_queued_study("batch", trials=2, parallel=2), namespace)
        eventually(lambda: states(plane, namespace, "batch") == ["Queued", "Queued"], what="two trials in the queue")
        plane.client.patch("tuningstudies", "batch", {"spec": {"suspend": True}}, namespace)
        eventually(lambda: not jobs(plane, namespace), what="no Jobs")
        assert states(plane, namespace, "batch") == ["Pending", "Pending"]
        plane.client.patch("tuningstudies", "batch", {"spec": {"suspend": False}}, namespace)
        eventually(lambda: len(jobs(plane, namespace)) == 2, what="two Jobs")
        plane.client.delete("tuningstudies", "batch", namespace)
        nothing_left(plane, namespace)


def stays(plane: ControlPlane, pod: Object) -> None:
    """From now on the pod is still to be seen when it has ended by SIGTERM: that must not fail its Job."""
    finalizers = [*pod["metadata"].get("finalizers", []), HOLD]
    plane.client.patch(
        "pods", pod["metadata"]["name"], {"metadata": {"finalizers": finalizers}}, pod["metadata"]["namespace"]
    )


def may_go(plane: ControlPlane, pod: Object) -> None:
    plane.client.patch(
        "pods", pod["metadata"]["name"], {"metadata": {"finalizers": None}}, pod["metadata"]["namespace"]
    )


def writes_to_jobs(plane: ControlPlane, namespace: str) -> list[str]:
    """What the operator did to Jobs, but for dry runs."""
    return [
        event["verb"]
        for event in plane.audit_events()
        if event.get("userAgent", "").startswith(AGENT)
        and event.get("objectRef", {}).get("resource") == "jobs"
        and event["objectRef"].get("namespace") == namespace
        and event["verb"] not in ("get", "list", "watch")
        and "dryRun" not in event["requestURI"]
    ]
