"""Several replicas at once, on one clock and an API server made of values: never two for the same namespace."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter

import pytest

from tuning_operator.cluster.client import Kind, Object
from tuning_operator.cluster.errors import AlreadyExistsError, ConflictError, NotFoundError
from tuning_operator.cluster.lease import Lease, NotLeaderError, Times
from tuning_operator.cluster.shards import Seat, shard_of

RETRY = 2.0


class World:
    """A clock that moves as somebody sleeps, and an API server with Leases."""

    def __init__(self) -> None:
        self.now = 100.0
        self.leases: dict[str, Object] = {}
        self.version = 0

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if name not in self.leases:
            raise NotFoundError(404, "NotFound", name)
        return copy.deepcopy(self.leases[name])

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        if body["metadata"]["name"] in self.leases:
            raise AlreadyExistsError(409, "AlreadyExists", "lease")
        return self._store(body)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        if body["metadata"]["resourceVersion"] != self.leases[name]["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "lease")
        return self._store(body)

    def _store(self, body: Object) -> Object:
        self.version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.leases[body["metadata"]["name"]] = stored
        return copy.deepcopy(stored)

    def replica(self, identity: str, shards: int) -> Replica:
        return Replica(self, identity, shards)


class OutOfPatienceError(Exception):
    """It stood by for longer than asked."""


class Replica:
    def __init__(self, world: World, identity: str, shards: int) -> None:
        self.world = world
        self.until = float("inf")
        self.others: list[Replica] = []
        """Who renews while this one waits."""

        def lease(name: str, holder: str) -> Lease:
            return Lease(
                world, namespace="tuning", name=name, identity=holder, times=Times(), clock=lambda: world.now,
                sleep=self._sleep,
            )  # fmt: skip

        self.seat = Seat(shards, name="operator", identity=identity, lease=lease, sleep=self._sleep)

    async def leads_within(self, seconds: float) -> bool:
        self.until = self.world.now + seconds
        try:
            await self.seat.acquire()
        except OutOfPatienceError:
            return False
        return True

    async def renew(self) -> None:
        assert self.seat.shard is not None
        for lease in self.seat._held(self.seat.shard):
            assert await lease.attempt()

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.world.now += seconds
        if self.world.now > self.until:
            raise OutOfPatienceError
        for other in self.others:
            if other.seat.leading:
                await other.renew()


async def test_each_shard_has_one_replica_and_one_more_stands_by() -> None:
    world = World()
    replicas = [world.replica(name, 3) for name in "abc"]
    for replica in replicas:
        assert await replica.leads_within(0)
    spare = world.replica("d", 3)
    spare.others = replicas

    assert not await spare.leads_within(60)

    assert {replica.seat.shard for replica in replicas} == {0, 1, 2}
    names = [f"team-{n}" for n in range(300)]
    served = Counter(replica.seat.shard for name in names for replica in replicas if replica.seat.serves(name))
    assert served.total() == 300
    assert min(served.values()) > 60
    with pytest.raises(NotLeaderError):
        spare.seat.check()


async def test_a_replica_that_is_lost_is_replaced_within_the_leases_time() -> None:
    world = World()
    alive, lost, spare = (world.replica(name, 2) for name in ("alive", "lost", "spare"))
    assert await alive.leads_within(0)
    assert await lost.leads_within(0)
    spare.others = [alive]
    began, shard = world.now, lost.seat.shard

    assert await spare.leads_within(60)

    assert world.now <= began + Times().duration
    assert spare.seat.shard == shard
    with pytest.raises(NotLeaderError):
        lost.seat.check()


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3)])
async def test_another_number_of_shards_waits_until_nobody_works_by_the_old_one(before: int, after: int) -> None:
    world = World()
    old = [world.replica(f"old-{n}", before) for n in range(before)]
    for replica in old:
        assert await replica.leads_within(0)
    new = world.replica("new", after)
    new.others = old

    assert not await new.leads_within(90)

    assert all(replica.seat.leading for replica in old)
    with pytest.raises(NotLeaderError):
        new.seat.check()
    new.others = []  # the old ones are killed, or frozen
    began = world.now
    assert await new.leads_within(60)
    assert world.now - began <= Times().duration + RETRY
    assert not any(replica.seat.leading for replica in old)


async def test_a_replica_of_the_old_number_that_wakes_up_does_not_get_in_between() -> None:
    world = World()
    old, new = world.replica("old", 2), world.replica("new", 3)
    assert await old.leads_within(0)
    assert await new.leads_within(60)
    old.others = [new]

    assert not await old.leads_within(90)

    new.seat.check()


async def test_a_clean_end_frees_the_shard_at_once() -> None:
    world = World()
    leaving, spare = world.replica("leaving", 2), world.replica("spare", 2)
    other = world.replica("other", 2)
    for replica in (leaving, other):
        assert await replica.leads_within(0)
    shard, leaving.until = leaving.seat.shard, float("inf")
    holding = asyncio.create_task(leaving.seat.hold())
    await asyncio.sleep(0)

    holding.cancel()
    await asyncio.wait([holding])
    leaving.seat.check()  # writes under way may still end well
    await leaving.seat.release()

    assert await spare.leads_within(0)
    assert spare.seat.shard == shard
    with pytest.raises(NotLeaderError):
        leaving.seat.check()


def test_where_a_namespace_falls_is_the_same_for_ever() -> None:
    assert [shard_of(name, 4) for name in ("default", "team-a", "team-b", "research")] == [1, 0, 2, 2]
