"""Several replicas at once on a real API server: each namespace has one owner at any time, and standbys take over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.cluster.operated import operated_plane, promises_kept, trials
from tests.history import RunCreated, TrialCreated
from tests.operator_process import LEASE, OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode
from tuning_operator.cluster.shards import shard_of

LEASE_SECONDS = 6.0


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.8, jitter=0.4):
        yield cluster


def replicas(plane: ControlPlane, names: Sequence[str], *, shards: int) -> list[OperatorProcess]:
    """Each with a user of its own, so that the audit log tells who wrote."""
    extra = [f"--lease-seconds={LEASE_SECONDS:g}", f"--shards={shards}"]
    return [
        OperatorProcess(plane, name=name, kubeconfig=plane.user_kubeconfig(name, "system:masters"), extra=extra)
        for name in names
    ]


def shard_served(replica: OperatorProcess) -> int | None:
    lines = [line for line in replica.get("/metrics").splitlines() if line.startswith("tuning_operator_shard_leader{")]
    served = [line.partition('shard="')[2].partition('"')[0] for line in lines if line.endswith(" 1.0")]
    return int(served[0]) if served else None


def namespaces(plane: ControlPlane, *shards: int, of: int) -> list[str]:
    """One that falls to each of these shards."""
    found: dict[int, str] = {}
    while set(shards) - found.keys():
        name = plane.new_namespace("shard")
        found.setdefault(shard_of(name, of), name)
    return [found[shard] for shard in shards]


def lease_of(namespace: str, shards: int) -> str:
    return f"{LEASE}-{shard_of(namespace, shards)}"


def test_two_work_at_once_and_a_third_takes_over_from_one_that_is_killed(plane: ControlPlane) -> None:
    spaces = namespaces(plane, 0, 1, of=2)
    with ExitStack() as stack:
        active = [stack.enter_context(each) for each in replicas(plane, ("one", "two"), shards=2)]
        eventually(lambda: {shard_served(each) for each in active} == {0, 1}, timeout=40, what="both lead")
        (spare,) = replicas(plane, ("spare",), shards=2)
        stack.enter_context(spare)
        eventually(lambda: spare.get("/readyz") == "ok\n", what="the third stands by")
        for space in spaces:
            plane.client.create("tuningstudies", a_study("both", trials=16, parallel=3), space)
            eventually(lambda space=space: trials(plane, space, "both"), what=f"{space} is served")
        owners = {shard_served(each): each for each in active}

        owners[1].process.kill()
        began = time.monotonic()
        eventually(lambda: shard_served(spare) == 1, timeout=40, what="the third serves what was the second's")
        took = time.monotonic() - began

        for space in spaces:
            wait_for_state(plane, space, "both", "Succeeded", timeout=90)
    print(f"took over {took:.2f} s after the kill; the lease is one of {LEASE_SECONDS:g} s")
    assert took <= LEASE_SECONDS + 0.5  # half a second to ask, on a busy machine
    writers = []
    for space in spaces:
        facts = promises_kept(plane, space, "both", lease=lease_of(space, 2))
        writers.append({fact.by for fact in facts if isinstance(fact, TrialCreated | RunCreated)})
        assert [trial["spec"]["number"] for trial in trials(plane, space, "both")] == list(range(16))
    assert len(writers[0]) == 1
    assert "spare" in writers[1]
    assert not writers[0] & writers[1]


def test_another_number_of_shards_begins_when_the_last_of_the_old_number_has_ended(plane: ControlPlane) -> None:
    """As in a rolling update: those of the new number come while those of the old one still work."""
    (space,) = namespaces(plane, 1, of=2)
    with ExitStack() as stack:
        before = [stack.enter_context(each) for each in replicas(plane, ("old-one", "old-two"), shards=2)]
        eventually(lambda: {shard_served(each) for each in before} == {0, 1}, timeout=60, what="both lead")
        plane.client.create("tuningstudies", a_study("moved", trials=24, parallel=2), space)
        eventually(lambda: len(trials(plane, space, "moved")) >= 3, what="it is served")
        (after,) = replicas(plane, ("new",), shards=1)
        stack.enter_context(after)
        eventually(lambda: after.get("/readyz") == "ok\n", what="the new one stands by")

        before[0].stop()
        time.sleep(LEASE_SECONDS)
        assert "tuning_operator_leader 0.0" in after.get("/metrics")
        before[1].process.kill()
        began = time.monotonic()
        eventually(lambda: "tuning_operator_leader 1.0" in after.get("/metrics"), timeout=40, what="the new one leads")
        assert time.monotonic() - began <= LEASE_SECONDS + 0.5

        wait_for_state(plane, space, "moved", "Succeeded", timeout=90)
    facts = promises_kept(plane, space, "moved")
    order = [fact.by for fact in facts if isinstance(fact, RunCreated)]
    assert set(order) <= {"old-one", "old-two", "new"}
    first = order.index("new")
    assert set(order[first:]) == {"new"}
    assert [trial["spec"]["number"] for trial in trials(plane, space, "moved")] == list(range(24))
