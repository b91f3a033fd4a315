"""Who may write, when: on a clock and an API server made of values."""

import copy
from collections.abc import Awaitable, Callable

import pytest

from tuning_operator.cluster.__main__ import options
from tuning_operator.cluster.client import Kind, Object
from tuning_operator.cluster.errors import AlreadyExistsError, ConflictError, NotFoundError, UnavailableError
from tuning_operator.cluster.lease import Lease, NotLeaderError, Times


class World:
    """A clock that everybody shares and an API server with one Lease."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lease: Object | None = None
        self.down = False
        self.version = 0

    def clock(self) -> float:
        return self.now

    def _answer(self) -> None:
        if self.down:
            raise UnavailableError(503, "ServiceUnavailable", "down")

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._answer()
        if self.lease is None:
            raise NotFoundError(404, "NotFound", name)
        return copy.deepcopy(self.lease)

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        self._answer()
        if self.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "lease")
        return self._store(body)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self._answer()
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "lease")
        return self._store(body)

    def _store(self, body: Object) -> Object:
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    def candidate(self, identity: str, *, on_sleep: Callable[[], Awaitable[None]] | None = None) -> Lease:
        async def sleep(seconds: float) -> None:
            self.now += seconds
            if on_sleep is not None:
                await on_sleep()

        times = Times(duration=20, renew_deadline=12, retry=2)
        return Lease(
            self, namespace="tuning", name="operator", identity=identity, times=times, clock=self.clock, sleep=sleep
        )


async def test_the_first_candidate_leads_at_once_and_may_write_until_the_renew_deadline() -> None:
    world = World()
    lease = world.candidate("a")
    with pytest.raises(NotLeaderError):
        lease.check()
    await lease.acquire()
    assert world.now == 100
    world.now += 11.9
    lease.check()
    world.now += 0.2
    with pytest.raises(NotLeaderError):
        lease.check()


async def test_a_standby_waits_longer_than_the_holder_may_write_and_not_longer_than_the_duration() -> None:
    world = World()
    holder, standby = world.candidate("a"), world.candidate("b")
    await holder.acquire()
    began = world.now
    await standby.acquire()
    assert began + 18 <= world.now <= began + 20
    with pytest.raises(NotLeaderError):
        holder.check()
    standby.check()


async def test_a_holder_that_renews_is_never_replaced() -> None:
    world = World()
    holder = world.candidate("a")
    await holder.acquire()
    looks = 0

    async def renew_and_stop_after_a_while() -> None:
        nonlocal looks
        looks += 1
        assert await holder.attempt()
        if looks > 50:
            raise KeyboardInterrupt

    standby = world.candidate("b", on_sleep=renew_and_stop_after_a_while)
    with pytest.raises(KeyboardInterrupt):
        await standby.acquire()
    assert not standby.leading


async def test_a_release_lets_the_standby_lead_without_waiting() -> None:
    world = World()
    holder, standby = world.candidate("a"), world.candidate("b")
    await holder.acquire()
    await holder.release()
    with pytest.raises(NotLeaderError):
        holder.check()
    began = world.now
    await standby.acquire()
    assert world.now == began


async def test_holding_ends_after_the_deadline_when_the_server_is_away() -> None:
    world = World()

    async def server_goes_away() -> None:
        world.down = True

    holder = world.candidate("a", on_sleep=server_goes_away)
    await holder.acquire()
    began = world.now
    await holder.hold()
    assert not holder.leading
    assert 12 <= world.now - began <= 16


async def test_a_short_outage_does_not_end_the_lead() -> None:
    world = World()
    rounds = 0

    async def away_for_some_seconds() -> None:
        nonlocal rounds
        rounds += 1
        world.down = 2 <= rounds <= 5
        if rounds == 20:
            raise KeyboardInterrupt

    holder = world.candidate("a", on_sleep=away_for_some_seconds)
    await holder.acquire()
    with pytest.raises(KeyboardInterrupt):
        await holder.hold()
    assert holder.leading


async def test_holding_ends_at_once_when_somebody_else_has_the_lease() -> None:
    world = World()

    async def thief() -> None:
        assert world.lease is not None
        world.lease["spec"]["holderIdentity"] = "b"
        world.lease["metadata"]["resourceVersion"] = "999"

    holder = world.candidate("a", on_sleep=thief)
    await holder.acquire()
    began = world.now
    await holder.hold()
    assert world.now == began + 2
    assert not holder.leading


async def test_a_process_that_slept_past_the_deadline_writes_nothing_when_it_wakes_up() -> None:
    world = World()
    holder = world.candidate("a")
    await holder.acquire()
    world.now += 3600
    with pytest.raises(NotLeaderError):
        holder.check()


@pytest.mark.parametrize("duration", [5.0, 20.0, 60.0])
def test_a_write_that_was_sent_in_time_is_over_before_anybody_else_leads(duration: float) -> None:
    times = Times.of(duration)

    assert times.duration == duration
    assert times.renew_deadline + times.write_timeout < duration
    assert times.retry * 3 < times.renew_deadline


def test_a_lease_that_a_slow_answer_would_lose_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(["--trainer-image=x", "--lease-seconds=2"])

    assert "write at least 5" in capsys.readouterr().err
