"""Trials of other kinds than Job on a real API server: a JobSet and a PyTorchJob, whose controllers are doubles."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.operated import (
    condition,
    live_pods,
    nothing_left,
    operated_plane,
    promises_kept,
    states,
    trials,
    until,
    without_lease,
)
from tests.operator_process import ROOT, OperatorProcess, a_study, wait_for_state
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule
from tests.testcluster.objects import JOBSETS, PYTORCHJOBS, Controllers, install, uninstall

Object = dict[str, Any]

KINDS = [
    "--trial-kind=jobset.x-k8s.io/v1alpha2/JobSet/jobsets",
    "--trial-kind=kubeflow.org/v1/PyTorchJob/pytorchjobs",
    "--trial-kind=example.com/v1/Absent/absents",
]
REPLICATED = "jobset.sigs.k8s.io/replicatedjob-name"
RULES = [
    Rule(
        end="exit", code=43, labels={"tuning.study/study": "memory", "jobset.sigs.k8s.io/replicatedjob-name": "worker"}
    ),
    Rule(end="disrupt", labels={"tuning.study/study": "lost"}, times=1, seconds=0.5),
    Rule(end="never", labels={"tuning.study/study": "long"}),
    Rule(end="never", labels={"tuning.study/study": "slow"}),
    Rule(end="never", labels={"tuning.study/study": "bereft"}, times=4),
    Rule(end="never", labels={"tuning.study/study": "steady"}),
    Rule(labels={"tuning.study/study": "climb"}, seconds=4.0),
]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=1.0, rules=RULES), Controllers(cluster):
        install(cluster, JOBSETS)
        yield cluster


@pytest.fixture(scope="module")
def operator(plane: ControlPlane) -> Iterator[OperatorProcess]:
    with OperatorProcess(plane, extra=KINDS) as process:
        yield process


@pytest.fixture
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    return plane.new_namespace("kinds")


def a_pod(*, container: str = "main") -> Object:
    return {"spec": {"containers": [{"name": container, "image": "registry.example/train:1"}]}}


def a_jobset(*, workers: int = 1) -> Object:
    """A leader that reports, and workers."""
    jobs = [{"name": name, "replicas": n, "template": {"spec": {"template": a_pod()}}}
            for name, n in (("leader", 1), ("worker", workers))]  # fmt: skip
    return {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "spec": {"replicatedJobs": jobs}}


def a_pytorchjob() -> Object:
    roles = {role: {"replicas": 1, "template": a_pod(container="pytorch")} for role in ("Master", "Worker")}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": roles}}


def the_example() -> Object:
    study: Object = yaml.safe_load((ROOT / "examples/cluster/jobset.yaml").read_text())
    study["spec"]["limits"] = {"trials": 2, "parallel": 2}
    return study


def a_study_of(template: Object, name: str, *, trials: int = 1, parallel: int = 1, **more: Any) -> Object:
    trial = {"template": template, "accelerator": {"count": 0}} | more.pop("trial", {})
    return a_study(name, trials=trials, parallel=parallel, trial=trial, **more)


def test_trials_are_jobsets_and_their_leader_reports(plane: ControlPlane, namespace: str) -> None:
    bind = [{"parameter": "layers", "to": "/spec/replicatedJobs/1/replicas"}]
    study = a_study_of(a_jobset(), "sets", trials=3, parallel=2, trial={"bind": bind})
    study["spec"]["parameters"][2] = {"name": "layers", "int": {"min": 1, "max": 2}}
    plane.client.create("tuningstudies", study, namespace)

    found = wait_for_state(plane, namespace, "sets", "Succeeded", "Failed", "Stalled")

    assert found["status"]["state"] == "Succeeded", found["status"]
    assert found["status"]["counts"]["succeeded"] == 3
    sets = plane.client.list(JOBSETS, namespace)
    ledger = trials(plane, namespace, "sets")
    assert len(sets) == 3
    for trial in ledger:
        (mine,) = [each for each in sets if each["metadata"]["name"] == f"{trial['metadata']['name']}-0"]
        assert mine["metadata"]["ownerReferences"][0]["uid"] == trial["metadata"]["uid"]
        assert mine["spec"]["replicatedJobs"][1]["replicas"] == trial["spec"]["parameters"]["layers"]
        assert trial["status"]["result"]["values"]["loss"] >= 0
    pods = plane.client.list("pods", namespace)
    assert len(pods) == sum(1 + trial["spec"]["parameters"]["layers"] for trial in ledger)
    assert {pod["metadata"]["labels"]["tuning.study/kind"] for pod in pods} == {"JobSet"}
    promises_kept(plane, namespace, "sets")

    plane.client.delete("tuningstudies", "sets", namespace)
    nothing_left(plane, namespace)
    eventually(lambda: not plane.client.list(JOBSETS, namespace), timeout=60, what="no JobSets")


def test_the_example_runs_as_it_stands(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", the_example(), namespace)
    study = wait_for_state(plane, namespace, "jobset", "Succeeded", "Failed", "Stalled")
    assert (study["status"]["state"], study["status"]["counts"]["succeeded"]) == ("Succeeded", 2)
    workers = {trial["spec"]["parameters"]["workers"] for trial in trials(plane, namespace, "jobset")}
    assert {each["spec"]["replicatedJobs"][1]["replicas"] for each in plane.client.list(JOBSETS, namespace)} == workers


@pytest.mark.parametrize(
    ("name", "state", "attempt"),
    [
        pytest.param("memory", "Failed", 0, id="a worker out of memory is the trial's failure"),
        pytest.param("lost", "Succeeded", 1, id="a lost pod is one more attempt of all"),
    ],
)
def test_a_failed_object_is_read_by_its_pods(
    plane: ControlPlane, namespace: str, name: str, state: str, attempt: int
) -> None:
    plane.client.create("tuningstudies", a_study_of(a_jobset(), name), namespace)
    wait_for_state(plane, namespace, name, "Succeeded", "Failed")
    (trial,) = trials(plane, namespace, name)
    result = trial["status"]["result"]
    assert (result["state"], trial["status"]["attempt"]) == (state, attempt)
    assert result["reason"] == {"memory": "OutOfMemory", "lost": "Completed"}[name]
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    promises_kept(plane, namespace, name)


def test_a_timeout_ends_the_object(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study_of(a_jobset(), "slow", trial={"timeout": "2s"}), namespace)
    wait_for_state(plane, namespace, "slow", "Succeeded", "Failed")
    (trial,) = trials(plane, namespace, "slow")
    assert trial["status"]["result"]["reason"] == "DeadlineExceeded"
    eventually(lambda: not plane.client.list(JOBSETS, namespace), timeout=60, what="no JobSet")
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    promises_kept(plane, namespace, "slow")


def test_it_survives_kills_suspension_and_deletion_by_hand(
    plane: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    plane.client.create("tuningstudies", a_study_of(a_jobset(), "long"), namespace)
    eventually(lambda: states(plane, namespace, "long") == ["Running"], what="the trial runs")
    (first,) = plane.client.list(JOBSETS, namespace)

    operator.process.kill()
    without_lease(plane)
    operator.start()
    until(plane, namespace, "long", "is seen again", lambda s: s["status"]["counts"]["running"] == 1)
    assert [each["metadata"]["uid"] for each in plane.client.list(JOBSETS, namespace)] == [first["metadata"]["uid"]]

    plane.client.delete(JOBSETS, first["metadata"]["name"], namespace)
    eventually(
        lambda: (
            [each["metadata"]["name"] for each in plane.client.list(JOBSETS, namespace)]
            == [first["metadata"]["name"][:-1] + "1"]
        ),
        timeout=60,
        what="the next attempt",
    )
    eventually(lambda: states(plane, namespace, "long") == ["Running"], what="it runs")

    plane.client.patch("tuningstudies", "long", {"spec": {"suspend": True}}, namespace)
    eventually(lambda: not plane.client.list(JOBSETS, namespace), timeout=60, what="no JobSet")
    eventually(lambda: not live_pods(plane, namespace), what="no pods")
    (trial,) = trials(plane, namespace, "long")
    assert (trial["status"]["state"], trial["status"]["disruptions"]) == ("Pending", 1)
    promises_kept(plane, namespace)
    plane.client.delete("tuningstudies", "long", namespace)


def test_a_queue_suspends_an_object_and_lets_it_go_on(plane: ControlPlane, namespace: str) -> None:
    study = a_study_of(a_jobset(), "climb", fidelity={"min": 1, "max": 8}, scheduler={"name": "ASHA"})
    study["spec"]["trial"]["checkpoints"] = {"claimName": a_claim(plane, namespace)}
    plane.client.create("tuningstudies", study, namespace)
    eventually(lambda: states(plane, namespace, "climb") == ["Running"], what="the trial runs")
    (body,) = plane.client.list(JOBSETS, namespace)
    plane.client.patch(JOBSETS, body["metadata"]["name"], {"spec": {"suspend": True}}, namespace)
    eventually(lambda: states(plane, namespace, "climb") == ["Queued"], what="the trial is queued")
    plane.client.patch(JOBSETS, body["metadata"]["name"], {"spec": {"suspend": False}}, namespace)
    wait_for_state(plane, namespace, "climb", "Succeeded")
    (trial,) = trials(plane, namespace, "climb")
    assert (trial["status"]["attempt"], trial["status"]["disruptions"]) == (0, 0)
    promises_kept(plane, namespace, "climb")


@pytest.mark.parametrize(
    ("version", "kind", "says"),
    [
        pytest.param("example.com/v1", "Secret", "trials of this cluster may be", id="a kind that is not allowed"),
        pytest.param("example.com/v1", "Absent", "the cluster has no Absent", id="a kind that is not installed"),
    ],
)
def test_a_kind_that_cannot_be_is_refused_before_anything_starts(
    plane: ControlPlane, namespace: str, version: str, kind: str, says: str
) -> None:
    template = {"apiVersion": version, "kind": kind, "spec": {"template": a_pod()}}
    said = {"successCondition": "object.status.ok", "failureCondition": "!object.status.ok", "primaryPod": {"a": "b"}}
    plane.client.create("tuningstudies", a_study_of(template, "refused", trial=said), namespace)
    study = wait_for_state(plane, namespace, "refused", "Stalled")
    assert says in condition(study, "Stalled")["message"]
    assert plane.client.list("pods", namespace) == []
    assert plane.client.list("tuningtrials", namespace) == []


def test_a_kind_that_is_installed_later_is_used_and_watched(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study_of(a_pytorchjob(), "late", trials=2), namespace)
    study = wait_for_state(plane, namespace, "late", "Stalled")
    assert "the cluster has no PyTorchJob" in condition(study, "Stalled")["message"]
    install(plane, PYTORCHJOBS)
    study = wait_for_state(plane, namespace, "late", "Succeeded", "Failed", timeout=150)
    assert study["status"]["state"] == "Succeeded"
    pods = plane.client.list("pods", namespace)
    assert len(pods) == 4
    assert {pod["spec"]["restartPolicy"] for pod in pods} == {"Never"}
    promises_kept(plane, namespace, "late")


def test_a_kind_that_is_taken_away_stalls_its_studies_alone_until_it_is_back(
    plane: ControlPlane, namespace: str
) -> None:
    plane.client.create("tuningstudies", a_study("steady", trials=1, parallel=1), namespace)
    plane.client.create("tuningstudies", a_study_of(a_jobset(), "bereft", trials=3, parallel=2), namespace)
    eventually(lambda: states(plane, namespace, "bereft") == ["Running"] * 2, timeout=60, what="two trials run")
    eventually(lambda: states(plane, namespace, "steady") == ["Running"], timeout=60, what="the other one runs")

    uninstall(plane, JOBSETS)

    def told() -> Object | None:
        study = plane.client.get("tuningstudies", "bereft", namespace)
        return study if condition(study, "Stalled")["reason"] == "KindNotInstalled" else None

    study = eventually(told, timeout=120, what="it is told that the kind is gone")

    assert study["status"]["state"] == "Stalled"
    assert "the cluster has no JobSet" in condition(study, "Stalled")["message"]
    assert study["status"]["counts"]["failed"] == 0
    assert states(plane, namespace, "steady") == ["Running"]
    plane.client.create("tuningstudies", a_study("meanwhile", trials=2, parallel=2), namespace)
    wait_for_state(plane, namespace, "meanwhile", "Succeeded")

    install(plane, JOBSETS)
    for job in plane.client.list("jobs", namespace, labels="jobset.sigs.k8s.io/jobset-name"):
        plane.client.delete("jobs", job["metadata"]["name"], namespace)  # Kubernetes does it too, but takes minutes
    study = wait_for_state(plane, namespace, "bereft", "Succeeded", "Failed")

    assert (study["status"]["state"], study["status"]["counts"]["succeeded"]) == ("Succeeded", 3), study["status"]
    lost = [
        (trial["status"]["attempt"], trial["status"]["disruptions"]) for trial in trials(plane, namespace, "bereft")
    ]
    assert lost == [(1, 1), (1, 1), (0, 0)]
    (steady,) = trials(plane, namespace, "steady")
    assert (steady["status"]["state"], steady["status"].get("disruptions", 0)) == ("Running", 0)
    promises_kept(plane, namespace, "bereft", "meanwhile")
    plane.client.delete("tuningstudies", "steady", namespace)


def test_a_kind_that_is_soon_back_is_watched_again(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study_of(a_jobset(), "before"), namespace)
    wait_for_state(plane, namespace, "before", "Succeeded")
    uninstall(plane, JOBSETS)
    time.sleep(9.0)  # the watch has begun again without it
    install(plane, JOBSETS)
    plane.client.create("tuningstudies", a_study_of(a_jobset(), "again", trials=2), namespace)
    study = wait_for_state(plane, namespace, "again", "Succeeded", "Failed")
    assert study["status"]["state"] == "Succeeded"
    promises_kept(plane, namespace, "before", "again")
