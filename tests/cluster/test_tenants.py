"""What an administrator's policy does on a real API server: refusals that name the rule, and fair shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.operated import condition, live_pods, operated_plane, promises_kept
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule

POLICY = {
    "default": {"images": ["registry.example/*"], "serviceAccounts": ["train-*"], "maxParallel": 4},
    "namespaces": {"free": {"images": None, "maxParallel": None}},
}
RULES = [
    Rule(end="never", labels={"tuning.study/study": "long"}),
    # Long enough that pods of both are seen side by side where the machine is slow.
    *(Rule(seconds=3, labels={"tuning.study/study": name}) for name in ("first", "second")),
]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.7, rules=RULES):
        yield cluster


@pytest.fixture(scope="module")
def operator(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    path: Path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    with OperatorProcess(plane, extra=[f"--policy={path}"]) as process:
        yield process


@pytest.fixture
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    return plane.new_namespace("tenant")


def test_a_study_that_breaks_a_rule_says_which_and_starts_once_it_is_mended(
    plane: ControlPlane, namespace: str
) -> None:
    pod = {"containers": [{"name": "main", "image": "elsewhere.example/train:1"}]}
    trial = {"template": {"spec": {"template": {"spec": pod}}}}
    plane.client.create("tuningstudies", a_study("strange", trials=1, parallel=1, trial=trial), namespace)

    study = wait_for_state(plane, namespace, "strange", "Stalled")

    assert "'elsewhere.example/train:1' is not allowed by the policy" in condition(study, "Stalled")["message"]
    assert plane.client.list("jobs", namespace) == []
    pod["containers"][0]["image"] = "registry.example/train:1"
    plane.client.delete("tuningstudies", "strange", namespace)
    plane.client.create("tuningstudies", a_study("known", trials=1, parallel=1, trial=trial), namespace)
    wait_for_state(plane, namespace, "known", "Succeeded")


def test_a_service_account_that_is_allowed_and_one_that_is_not(plane: ControlPlane, namespace: str) -> None:
    for name in ("train-a", "admin"):
        pod = {"serviceAccountName": name, "containers": [{"name": "main", "image": "registry.example/train:1"}]}
        trial = {"template": {"spec": {"template": {"spec": pod}}}}
        plane.client.create(
            "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace
        )
        plane.client.create("tuningstudies", a_study(name, trials=1, parallel=1, trial=trial), namespace)

    wait_for_state(plane, namespace, "train-a", "Succeeded")
    refused = condition(wait_for_state(plane, namespace, "admin", "Stalled"), "Stalled")
    assert "trials may run as default, train-* only" in refused["message"]
    accounts = {job["spec"]["template"]["spec"]["serviceAccountName"] for job in plane.client.list("jobs", namespace)}
    assert accounts == {"train-a"}


def test_studies_of_a_namespace_share_its_slots_and_give_them_on(plane: ControlPlane, namespace: str) -> None:
    for name in ("first", "second"):
        plane.client.create("tuningstudies", a_study(name, trials=8, parallel=8), namespace)
    seen: list[Counter[str]] = []

    def ended() -> bool:
        running = Counter(pod["metadata"]["labels"]["tuning.study/study"] for pod in live_pods(plane, namespace))
        seen.append(running)
        states = [plane.client.get("tuningstudies", name, namespace).get("status", {}) for name in ("first", "second")]
        return all(state.get("state") == "Succeeded" for state in states)

    eventually(ended, timeout=180, interval=0.2, what="both studies")
    assert max(running.total() for running in seen) == 4
    assert any(running == {"first": 2, "second": 2} for running in seen), seen
    promises_kept(plane, namespace, "first", "second")


def test_a_study_that_holds_all_slots_gives_them_on_as_it_is_suspended(plane: ControlPlane, namespace: str) -> None:
    plane.client.create("tuningstudies", a_study("long", trials=9, parallel=9), namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 4, what="four pods")
    plane.client.create("tuningstudies", a_study("next", trials=3, parallel=3), namespace)
    plane.client.patch("tuningstudies", "long", {"spec": {"suspend": True}}, namespace)

    wait_for_state(plane, namespace, "next", "Succeeded")

    assert live_pods(plane, namespace) == []


def test_an_operator_that_starts_counts_what_runs_before_it_starts_more(
    plane: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    plane.client.create("tuningstudies", a_study("long", trials=9, parallel=9), namespace)
    eventually(lambda: len(live_pods(plane, namespace)) == 4, what="four pods")
    operator.stop()
    for name in ("a-first-one", "z-last-one"):  # whichever is decided on before the one that holds all
        plane.client.create("tuningstudies", a_study(name, trials=3, parallel=3), namespace)
    operator.start()
    started: list[int] = []

    def waits() -> bool:
        started.append(len(live_pods(plane, namespace)))
        events = plane.client.list("events", namespace)
        waiting = {event["involvedObject"]["name"] for event in events if event["reason"] == "WaitsForItsShare"}
        return waiting >= {"a-first-one", "z-last-one"}

    eventually(waits, interval=0.2, what="the word that it waits")
    assert set(started) == {4}
    assert {pod["metadata"]["labels"]["tuning.study/study"] for pod in live_pods(plane, namespace)} == {"long"}
