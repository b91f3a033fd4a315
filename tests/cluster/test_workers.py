"""Trials of several pods, and Jobs that wait ahead, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.operated import live_pods, nothing_left, operated_plane, promises_kept, trials
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule

RULES = [
    Rule(end="never", labels={"tuning.study/study": "long"}),
    Rule(end="disrupt", labels={"tuning.study/study": "lost"}, times=1, seconds=0.5),
    Rule(end="exit", code=1, labels={"tuning.study/study": "crash"}, times=1, seconds=0.5),
]
POD = {"containers": [{"name": "main", "image": "registry.example/train:1"}]}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=1.0, rules=RULES):
        yield cluster


@pytest.fixture
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    return plane.new_namespace("workers")


def test_pods_of_a_trial_have_names_and_the_first_one_reports(plane: ControlPlane, namespace: str) -> None:
    trial = {"template": {"spec": {"template": {"spec": POD}}}, "workers": 3}
    plane.client.create("tuningstudies", a_study("many", trials=2, parallel=1, trial=trial), namespace)

    study = wait_for_state(plane, namespace, "many", "Succeeded", "Failed", "Stalled")

    assert study["status"]["state"] == "Succeeded"
    assert study["status"]["counts"]["succeeded"] == 2
    pods = plane.client.list("pods", namespace)
    (service,) = plane.client.list("services", namespace)
    assert len(pods) == 6
    assert {pod["spec"]["subdomain"] for pod in pods} == {service["metadata"]["name"]}
    assert all(pod["spec"]["hostname"].endswith(("-0", "-1", "-2")) for pod in pods)
    assert service["spec"]["clusterIP"] == "None"
    promises_kept(plane, namespace, "many")

    plane.client.delete("tuningstudies", "many", namespace)
    nothing_left(plane, namespace)
    eventually(lambda: not plane.client.list("services", namespace), what="no Service")


@pytest.mark.parametrize(
    ("name", "attempts", "states"),
    [
        pytest.param("lost", 2, {"succeeded": 1, "failed": 0}, id="one pod lost is one more attempt of all"),
        pytest.param("crash", 1, {"succeeded": 0, "failed": 1}, id="one pod that fails is the trial's failure"),
    ],
)
def test_the_pods_of_a_trial_end_together(
    plane: ControlPlane, namespace: str, name: str, attempts: int, states: dict[str, int]
) -> None:
    trial = {"template": {"spec": {"template": {"spec": POD}}}, "workers": 2}
    plane.client.create("tuningstudies", a_study(name, trials=1, parallel=1, trial=trial), namespace)

    study = wait_for_state(plane, namespace, name, "Succeeded", "Failed")

    counts = study["status"]["counts"]
    assert {key: counts[key] for key in states} == states
    (ledger,) = trials(plane, namespace, name)
    assert ledger["status"]["attempt"] == attempts - 1
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    promises_kept(plane, namespace, name)


def test_jobs_that_wait_ahead_are_there_beyond_the_parallel_ones(plane: ControlPlane, namespace: str) -> None:
    limits = {"trials": 9, "parallel": 2, "queued": 3}
    plane.client.create("tuningstudies", a_study("long", trials=9, parallel=2, limits=limits), namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 5, what="five pods")
    assert len(plane.client.list("jobs", namespace)) == 5
    plane.client.delete("tuningstudies", "long", namespace)
    nothing_left(plane, namespace)
