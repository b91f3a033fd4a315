"""The operator is killed, doubled, cut off and replaced: promises P1-P8 hold all the same (P7: without a person)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
import urllib3

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
from tests.operator_process import LEASE, OperatorProcess, a_study, wait_for_state
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule
from tuning_operator.api.study import StudySpec
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Observation


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    rules = [Rule(end="never", labels={"tuning.study/study": "long"})]
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.8, jitter=0.6, rules=rules):
        yield cluster


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    return plane.new_namespace("fault")


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_moments_nothing_is_lost_or_done_twice(plane: ControlPlane, namespace: str, seed: int) -> None:
    moments = random.Random(seed)
    operator = OperatorProcess(plane, name=f"killed-{seed}")
    plane.client.create("tuningstudies", a_study("killed", trials=24, parallel=4), namespace)
    kills = 0

    def ended() -> bool:
        study = plane.client.get("tuningstudies", "killed", namespace)
        return study.get("status", {}).get("state") == "Succeeded"

    try:
        while not ended():
            without_lease(plane)
            operator.start()
            time.sleep(moments.uniform(1.5, 5.0) if kills < 6 else 30)
            operator.process.kill()
            kills += 1
            assert kills < 12, operator.log.read_text()[-3000:]
    finally:
        operator.process.kill()

    assert kills >= 3
    ledger = trials(plane, namespace, "killed")
    assert [trial["spec"]["number"] for trial in ledger] == list(range(24))
    assert {trial["status"]["result"]["state"] for trial in ledger} == {"Succeeded"}
    assert not live_pods(plane, namespace)
    promises_kept(plane, namespace, "killed")


def test_a_restart_suggests_what_would_have_been_suggested(plane: ControlPlane, namespace: str) -> None:
    """Each trial's parameters are those that the pure function gives for what the trial says it knew."""
    created = plane.client.create("tuningstudies", a_study("same", trials=6, parallel=1), namespace)
    operator = OperatorProcess(plane, name="restarted")
    for count in (2, 4):
        without_lease(plane)
        operator.start()
        until(plane, namespace, "same", "results", lambda s, n=count: _succeeded(s) >= n)
        operator.process.kill()
    without_lease(plane)
    with operator:
        wait_for_state(plane, namespace, "same", "Succeeded")

    ledger = trials(plane, namespace, "same")
    search = problem(StudySpec.model_validate(created["spec"]), study_uid=created["metadata"]["uid"])
    told = [
        Observation(number, trial["spec"]["parameters"], (trial["status"]["result"]["values"]["loss"],))
        for number, trial in enumerate(ledger)
    ]
    for number, trial in enumerate(ledger):
        known = trial["spec"]["suggestion"]["known"]
        running = {other: ledger[other]["spec"]["parameters"] for other in range(known, number)}
        again = suggest(search, history=told[:known], running=running, number=number)
        assert number - known <= 1
        assert trial["spec"]["parameters"] == dict(again.parameters)
    promises_kept(plane, namespace, "same")


def rung_table(plane: ControlPlane, namespace: str, study: str) -> list[tuple[str, list[dict[str, object]]]]:
    return [(trial["status"]["state"], trial["status"].get("rungs", [])) for trial in trials(plane, namespace, study)]


def test_killed_between_pause_and_promotion_the_rung_table_is_the_same(plane: ControlPlane, namespace: str) -> None:
    """One trial at a time over a grid: what comes when does not depend on anybody's speed."""
    claim = a_claim(plane, namespace)
    for name in ("whole", "killed"):
        study = a_study(
            name, trials=6, parallel=1, algorithm={"name": "Grid"},
            parameters=[{"name": "layers", "int": {"min": 1, "max": 6}}],
            fidelity={"min": 1, "max": 9, "reduction": 3}, scheduler={"name": "ASHA", "asha": {"mode": "Pause"}},
        )  # fmt: skip
        study["spec"]["trial"]["checkpoints"] = {"claimName": claim}
        plane.client.create("tuningstudies", study, namespace)
    operator = OperatorProcess(plane, name="climbs")
    try:
        for paused in (1, 2, 4):
            without_lease(plane)
            operator.start()
            eventually(
                lambda n=paused: states(plane, namespace, "killed").count("Paused") >= n, interval=0.05, what="a pause"
            )
            operator.process.kill()
        without_lease(plane)
        operator.start()
        for name in ("whole", "killed"):
            wait_for_state(plane, namespace, name, "Succeeded")
    finally:
        operator.process.kill()

    table = rung_table(plane, namespace, "killed")
    assert table == rung_table(plane, namespace, "whole")
    assert {len(rungs) for _, rungs in table} >= {1, 2}
    promises_kept(plane, namespace, "killed", "whole")


def test_a_clean_end_hands_over_at_once(plane: ControlPlane, namespace: str) -> None:
    without_lease(plane)
    accounts = {}
    for user in ("operator-a", "operator-b"):
        accounts[user] = plane.user_kubeconfig(user, "system:masters")
    first, second = (OperatorProcess(plane, name=user, kubeconfig=path) for user, path in accounts.items())
    plane.client.create("tuningstudies", a_study("handed", trials=15, parallel=3), namespace)
    try:
        first.start()
        until(plane, namespace, "handed", "a first result", lambda s: _succeeded(s) >= 1)
        second.start()
        eventually(lambda: second.get("/readyz") == "ok\n", what="the standby is ready")
        assert "tuning_operator_leader 0.0" in second.get("/metrics")

        began = time.monotonic()
        first.stop()
        eventually(lambda: "tuning_operator_leader 1.0" in second.get("/metrics"), what="the standby leads")
        assert time.monotonic() - began < 8

        wait_for_state(plane, namespace, "handed", "Succeeded", timeout=90)
    finally:
        first.stop()
        second.stop()

    facts = promises_kept(plane, namespace, "handed", lease=LEASE)
    writers = {getattr(fact, "by", None) for fact in facts}
    assert {"operator-a", "operator-b"} <= writers


def test_a_standby_takes_over_within_the_leases_time_from_one_that_is_killed(
    plane: ControlPlane, namespace: str
) -> None:
    without_lease(plane)
    paths = [plane.user_kubeconfig(user, "system:masters") for user in ("killed-a", "killed-b")]
    first, second = (
        OperatorProcess(plane, name=f"killed-{n}", kubeconfig=path, extra=["--lease-seconds=6"])
        for n, path in enumerate(paths)
    )
    plane.client.create("tuningstudies", a_study("killed", trials=18, parallel=3), namespace)
    try:
        first.start()
        until(plane, namespace, "killed", "a first result", lambda s: _succeeded(s) >= 1)
        second.start()
        eventually(lambda: second.get("/readyz") == "ok\n", what="the standby is ready")
        first.process.kill()
        began = time.monotonic()
        eventually(lambda: "tuning_operator_leader 1.0" in second.get("/metrics"), timeout=40, what="takeover")
        took = time.monotonic() - began
        wait_for_state(plane, namespace, "killed", "Succeeded", timeout=90)
    finally:
        first.stop()
        second.stop()

    print(f"took over {took:.2f} s after the kill; the lease is one of 6 s")
    assert took <= 6.5  # half a second to ask, on a busy machine
    promises_kept(plane, namespace, "killed", lease=LEASE)


def test_a_frozen_leader_writes_nothing_when_it_wakes_up_and_stands_by(plane: ControlPlane, namespace: str) -> None:
    without_lease(plane)
    paths = [plane.user_kubeconfig(user, "system:masters") for user in ("frozen-a", "frozen-b")]
    first, second = (
        OperatorProcess(plane, name=f"frozen-{n}", kubeconfig=path, extra=["--lease-seconds=6"])
        for n, path in enumerate(paths)
    )
    plane.client.create("tuningstudies", a_study("frozen", trials=15, parallel=3), namespace)
    try:
        first.start()
        until(plane, namespace, "frozen", "a first result", lambda s: _succeeded(s) >= 1)
        second.start()
        first.process.freeze()
        eventually(lambda: "tuning_operator_leader 1.0" in second.get("/metrics"), timeout=40, what="takeover")
        first.process.thaw()
        eventually(lambda: "tuning_operator_leader 0.0" in first.get("/metrics"), timeout=20, what="it knows")
        wait_for_state(plane, namespace, "frozen", "Succeeded", timeout=90)
        assert first.process.running
        assert first.get("/readyz") == "ok\n"
        second.process.kill()
        eventually(lambda: "tuning_operator_leader 1.0" in first.get("/metrics"), timeout=40, what="its next term")
        plane.client.create("tuningstudies", a_study("later", trials=4, parallel=2), namespace)
        wait_for_state(plane, namespace, "later", "Succeeded", timeout=60)
    finally:
        first.stop()
        second.stop()

    promises_kept(plane, namespace, "frozen", "later", lease=LEASE)


def test_deleted_while_no_operator_runs_nothing_is_left(plane: ControlPlane, namespace: str) -> None:
    without_lease(plane)
    with OperatorProcess(plane, name="leaves"):
        plane.client.create("tuningstudies", a_study("long", trials=50, parallel=3), namespace)
        eventually(lambda: len(live_pods(plane, namespace)) == 3, what="three pods")

    plane.client.delete("tuningstudies", "long", namespace)

    nothing_left(plane, namespace)


def test_a_trial_that_was_deleted_while_the_watch_was_away_is_missed(plane: ControlPlane, namespace: str) -> None:
    """It had its result, so nothing of it is read again; and the watch begins anew with a list, which names no dead."""
    without_lease(plane)
    plane.client.create("tuningstudies", a_study("missed", trials=30, parallel=2), namespace)
    with OperatorProcess(plane, name="misses") as operator:
        until(plane, namespace, "missed", "some results", lambda s: _succeeded(s) >= 3)
        first = trials(plane, namespace, "missed")[0]
        operator.process.freeze()
        plane.client.delete("tuningtrials", first["metadata"]["name"], namespace)
        forget_the_past(plane)
        operator.process.thaw()

        def again() -> bool:
            found = trials(plane, namespace, "missed")[0]["metadata"]
            return bool(found["name"] == first["metadata"]["name"] and found["uid"] != first["metadata"]["uid"])

        eventually(again, timeout=120, what="the trial is made again")
        study = wait_for_state(plane, namespace, "missed", "Succeeded", timeout=120)

    ledger = trials(plane, namespace, "missed")
    assert [trial["spec"]["number"] for trial in ledger] == list(range(30))
    assert study["status"]["best"]["values"]["loss"] == min(
        trial["status"]["result"]["values"]["loss"] for trial in ledger
    )


def forget_the_past(plane: ControlPlane) -> None:
    """Nobody can go on watching from where he was: the API server's memory is gone, and what etcd had before now."""
    now = plane.client.get("namespaces", "default")["metadata"]["resourceVersion"]
    now = max(int(now), *(int(each["metadata"]["resourceVersion"]) for each in plane.client.list("tuningtrials")))
    server = plane.component("kube-apiserver")
    server.kill()
    answer = urllib3.request("POST", f"{plane.etcd}/v3/kv/compaction", json={"revision": str(now)})
    assert answer.status == 200, answer.data
    server.start()
    eventually(plane.ready, timeout=90, interval=0.1, what="the API server is ready")


def _succeeded(study: dict[str, object]) -> int:
    status = study.get("status") or {}
    counts = status.get("counts") if isinstance(status, dict) else None
    return int(counts["succeeded"]) if isinstance(counts, dict) else 0
