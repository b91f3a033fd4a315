"""Bad input and a bad world: a clear word that names what is wrong; nothing lost, nothing burned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.operated import condition, live_pods, operated_plane, promises_kept, states, trials, until
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule
from tuning_operator.core.naming import job_name, trial_name


def _named(name: str, end: str, **rule: Any) -> Rule:
    return Rule(end=end, labels={"tuning.study/study": name}, **rule)


PULLS = "pulls"
RULES = [
    _named("crashes", "exit", code=7),
    _named("invalid", "exit", code=42, parameters={"layers": [5, 8]}),
    _named("memory", "oom", parameters={"layers": [5, 8]}),
    _named("evicted", "disrupt", times=2),
    _named("again", "exit", code=75, times=2),
    _named("endless", "never"),
    _named("image", "image"),
    _named("silent", "succeed", message=""),
]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.5, rules=RULES), OperatorProcess(cluster):
        # Registries get a minute; it may pass while the other tests run.
        cluster.client.create("namespaces", {"metadata": {"name": PULLS}})
        cluster.client.create("tuningstudies", a_study("image", trials=20, parallel=2), PULLS)
        yield cluster


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    return plane.new_namespace("bad")


def with_template(name: str, pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    study = a_study(name, trials=4, parallel=2, **spec)
    container = study["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]
    template = {"spec": {"template": {"spec": {"containers": [container | pod.pop("container", {})], **pod}}}}
    study["spec"]["trial"] = {"template": template}
    return study


@pytest.mark.parametrize(
    ("study", "words"),
    [
        pytest.param(
            with_template("typo", {"container": {"imagePullPolice": "Always"}}),
            ["spec.trial.template", "imagePullPolice"],
            id="an unknown field of the template",
        ),
        pytest.param(
            with_template("host", {"hostNetwork": True}),
            ["hostNetwork"],
            id="a template that wants the node's network",
        ),
        pytest.param(
            with_template("root", {"container": {"securityContext": {"privileged": True}}}),
            ["privileged"],
            id="a privileged template",
        ),
        pytest.param(
            with_template("account", {"serviceAccountName": "admin"}),
            ["serviceAccountName", "admin"],
            id="a foreign service account",
        ),
        pytest.param(
            with_template("quantity", {"container": {"resources": {"limits": {"memory": "much"}}}}),
            ["spec.trial.template", "quantities"],
            id="a value that the API server does not take",
        ),
        pytest.param(
            a_study(
                "cycle",
                trials=4,
                parallel=1,
                parameters=[
                    {"name": "a", "choice": [1, 2], "when": [{"parameter": "b", "values": [1]}]},
                    {"name": "b", "choice": [1, 2], "when": [{"parameter": "a", "values": [1]}]},
                ],
            ),
            ["spec.parameters", "when"],
            id="parameters that need each other",
        ),
    ],
)
def test_a_study_that_can_never_work_says_why_and_starts_nothing(
    plane: ControlPlane, namespace: str, study: dict[str, Any], words: list[str]
) -> None:
    plane.client.create("tuningstudies", study, namespace)

    stalled = wait_for_state(plane, namespace, study["metadata"]["name"], "Stalled")

    said = condition(stalled, "Stalled")
    assert (said["status"], said["reason"]) == ("True", "InvalidSpec")
    assert [word for word in words if word not in said["message"]] == []
    assert trials(plane, namespace, study["metadata"]["name"]) == plane.client.list("jobs", namespace) == []


def test_a_corrected_template_goes_on(plane: ControlPlane, namespace: str) -> None:
    bad = with_template("fixed", {"container": {"imagePullPolice": "Always"}})
    plane.client.create("tuningstudies", bad, namespace)
    wait_for_state(plane, namespace, "fixed", "Stalled")

    good = a_study("fixed", trials=4, parallel=2)["spec"]["trial"]
    plane.client.patch("tuningstudies", "fixed", {"spec": {"trial": good}}, namespace)

    wait_for_state(plane, namespace, "fixed", "Succeeded")


def test_trials_that_fail_end_the_study_with_their_reason(plane: ControlPlane, namespace: str) -> None:
    study = a_study("crashes", trials=20, parallel=2)
    study["spec"]["limits"]["failures"] = 2
    plane.client.create("tuningstudies", study, namespace)

    failed = wait_for_state(plane, namespace, "crashes", "Failed")

    assert condition(failed, "Failed")["reason"] == "TooManyFailures"
    assert "NonZeroExit" in condition(failed, "Failed")["message"]
    assert 3 <= len(trials(plane, namespace, "crashes")) <= 5
    promises_kept(plane, namespace, "crashes")


@pytest.mark.parametrize(("name", "reason"), [("invalid", "InvalidSetting"), ("memory", "OutOfMemory")])
def test_parameters_that_cannot_work_are_infeasible(
    plane: ControlPlane, namespace: str, name: str, reason: str
) -> None:
    layers = {"name": "layers", "int": {"min": 1, "max": 8}}
    study = a_study(name, trials=8, parallel=2, parameters=[layers], algorithm={"name": "Grid"})
    study["spec"]["limits"]["failures"] = 20
    plane.client.create("tuningstudies", study, namespace)
    wait_for_state(plane, namespace, name, "Succeeded")

    results = {t["spec"]["parameters"]["layers"]: t["status"]["result"] for t in trials(plane, namespace, name)}
    bad = {number: result for number, result in results.items() if result["state"] == "Failed"}
    assert sorted(bad) == [5, 6, 7, 8]
    assert {(result["reason"], result.get("infeasible")) for result in bad.values()} == {(reason, True)}


@pytest.mark.parametrize(("name", "count"), [("evicted", "disruptions"), ("again", "retries")])
def test_a_lost_attempt_is_repeated_and_counted(plane: ControlPlane, namespace: str, name: str, count: str) -> None:
    plane.client.create("tuningstudies", a_study(name, trials=3, parallel=2), namespace)
    wait_for_state(plane, namespace, name, "Succeeded")

    found = trials(plane, namespace, name)
    assert {trial["status"]["result"]["state"] for trial in found} == {"Succeeded"}
    assert sum(trial["status"][count] for trial in found) == 2
    promises_kept(plane, namespace, name)


def test_a_trial_that_never_ends_is_stopped_by_its_timeout(plane: ControlPlane, namespace: str) -> None:
    study = a_study("endless", trials=2, parallel=2)
    study["spec"]["trial"]["timeout"] = "2s"
    plane.client.create("tuningstudies", study, namespace)

    wait_for_state(plane, namespace, "endless", "Failed", "Succeeded")

    assert {t["status"]["result"]["reason"] for t in trials(plane, namespace, "endless")} == {"DeadlineExceeded"}
    eventually(lambda: not live_pods(plane, namespace), what="no pods")


def test_an_objective_that_is_never_reported_fails_the_trial_after_the_wait(
    plane: ControlPlane, namespace: str
) -> None:
    study = a_study("silent", trials=1, parallel=1, metrics={"waitSeconds": 1})
    plane.client.create("tuningstudies", study, namespace)

    wait_for_state(plane, namespace, "silent", "Failed", "Succeeded")

    (trial,) = trials(plane, namespace, "silent")
    assert trial["status"]["result"]["reason"] == "MetricsUnavailable"
    assert "loss" in trial["status"]["result"]["message"]


def test_a_quota_on_jobs_is_waited_for_and_named(plane: ControlPlane, namespace: str) -> None:
    quota = {"metadata": {"name": "jobs"}, "spec": {"hard": {"count/jobs.batch": "1"}}}
    plane.client.create("resourcequotas", quota, namespace)
    eventually(lambda: plane.client.get("resourcequotas", "jobs", namespace).get("status", {}).get("used"))
    plane.client.create("tuningstudies", a_study("quota", trials=3, parallel=2), namespace)

    until(plane, namespace, "quota", "the quota is named", lambda s: "exceeded quota" in str(s.get("status")))
    plane.client.delete("resourcequotas", "jobs", namespace)

    wait_for_state(plane, namespace, "quota", "Succeeded")
    assert states(plane, namespace, "quota") == ["Succeeded"] * 3
    promises_kept(plane, namespace, "quota")


def test_a_quota_on_pods_is_named_too(plane: ControlPlane, namespace: str) -> None:
    quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "0"}}}
    plane.client.create("resourcequotas", quota, namespace)
    eventually(lambda: plane.client.get("resourcequotas", "pods", namespace).get("status", {}).get("used"))
    plane.client.create("tuningstudies", a_study("podless", trials=2, parallel=1), namespace)

    until(plane, namespace, "podless", "the quota is named", lambda s: "exceeded quota" in str(s.get("status")))


def test_a_foreign_job_under_our_name_is_left_alone_and_named(plane: ControlPlane, namespace: str) -> None:
    study = plane.client.create("tuningstudies", a_study("taken", trials=2, parallel=1, suspend=True), namespace)
    name = job_name(trial_name("taken", study["metadata"]["uid"], 0), 0)
    pod = {"restartPolicy": "Never", "containers": [{"name": "theirs", "image": "x"}]}
    foreign = {"metadata": {"name": name}, "spec": {"suspend": True, "template": {"spec": pod}}}
    before = plane.client.create("jobs", foreign, namespace)
    plane.client.patch("tuningstudies", "taken", {"spec": {"suspend": False}}, namespace)

    stalled = wait_for_state(plane, namespace, "taken", "Stalled")

    assert condition(stalled, "Stalled")["reason"] == "NameConflict"
    assert name in condition(stalled, "Stalled")["message"]
    assert plane.client.get("jobs", name, namespace)["spec"] == before["spec"]
    plane.client.delete("jobs", name, namespace)
    wait_for_state(plane, namespace, "taken", "Succeeded")


def test_a_job_deleted_by_hand_is_one_lost_attempt(plane: ControlPlane, namespace: str) -> None:
    study = a_study("endless", trials=1, parallel=1)
    plane.client.create("tuningstudies", study, namespace)
    pod = eventually(lambda: live_pods(plane, namespace), what="a pod")[0]
    until(plane, namespace, "endless", "it runs", lambda s: s["status"].get("counts", {}).get("running"))
    eventually(lambda: states(plane, namespace, "endless") == ["Running"], what="the trial is recorded as running")

    plane.client.delete("jobs", pod["metadata"]["labels"]["batch.kubernetes.io/job-name"], namespace)

    def second() -> list[Any]:
        pods = live_pods(plane, namespace)
        return [each for each in pods if each["metadata"]["labels"]["tuning.study/attempt"] == "1"]

    eventually(second, what="a second attempt")
    assert trials(plane, namespace, "endless")[0]["status"]["disruptions"] == 1
    plane.client.delete("tuningstudies", "endless", namespace)


def test_an_image_that_cannot_be_pulled_stalls_the_study_instead_of_burning_it(plane: ControlPlane) -> None:
    stalled = wait_for_state(plane, PULLS, "image", "Stalled", timeout=100)

    assert condition(stalled, "Stalled")["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert len(trials(plane, PULLS, "image")) == 2
    assert states(plane, PULLS, "image") == ["Pending"] * 2
