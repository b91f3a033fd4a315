"""Who leads: one Lease, renewed on our own monotonic clock.

Only the holder writes (P5). Every write of the operator calls `check` right before it is sent; past the renew deadline
it refuses, whether or not this loop has had its turn since, so that also a process that was paused (SIGSTOP, a frozen
VM) writes nothing when it wakes up. The deadline counts from the moment at which the last successful renewal was
*sent*; another process counts the longer patience from when it *saw* it, by its own clock. Clocks of different
machines are never compared.

The difference between patience and deadline is the time that a write already sent may take; the client's timeout is
below it. The difference between duration and patience is how late a standby may see a renewal, as it looks now and
then: so that it takes over within the duration.
"""

import asyncio
import datetime
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from tuning_operator.cluster.client import LEASES, Kind, Object
from tuning_operator.cluster.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError

log = logging.getLogger(__name__)


SHORTEST = 5.0
"""Seconds of a lease below which an answer that is merely slow would lose it."""


PATIENCE = 0.9
"""Of a lease's duration: a standby waits as long after it has seen a renewal."""


class NotLeaderError(Exception):
    """A write was refused because this process does not hold the lease (any more)."""


@dataclass(frozen=True)
class Times:
    """Seconds. A standby takes over at most `duration` after the holder's last renewal."""

    duration: float = 20.0
    renew_deadline: float = 12.0
    retry: float = 2.0

    @staticmethod
    def of(duration: float) -> "Times":
        """The same proportions for another duration."""
        usual = Times()
        share = duration / usual.duration
        return Times(duration, usual.renew_deadline * share, usual.retry * share)

    @property
    def write_timeout(self) -> float:
        """How long a write may be under way."""
        return PATIENCE * self.duration - self.renew_deadline - 0.5


class LeaseApi(Protocol):
    async def get(self, kind: Kind, namespace: str, name: str) -> Object: ...
    async def create(self, kind: Kind, namespace: str, body: Object) -> Object: ...
    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object: ...


def uptime() -> float:
    """Seconds that also pass while the machine is suspended, where the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Lease:
    def __init__(
        self,
        api: LeaseApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: Times = Times(),
        clock: Callable[[], float] = uptime,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._clock = clock
        self._sleep = sleep
        self._valid_until = float("-inf")
        self._seen: tuple[object, ...] = ()
        self._seen_at = float("-inf")
        self._theirs_until = float("-inf")

    @property
    def leading(self) -> bool:
        return self._clock() < self._valid_until

    def check(self) -> None:
        """The gate of every write."""
        if not self.leading:
            raise NotLeaderError(f"the lease {self._namespace}/{self._name} is not ours (any more): nothing is written")

    async def acquire(self) -> None:
        """Returns once we lead."""
        log.info("waiting for the lease", extra={"lease": self._name, "identity": self._identity})
        while not await self.attempt():
            await self._sleep(self.pause)
        log.info("leading", extra={"lease": self._name, "identity": self._identity})

    @property
    def pause(self) -> float:
        """Seconds to the next attempt: not later than the lease of somebody else ends."""
        left = self._theirs_until - self._clock()
        return min(self._times.retry, left) if left > 0 else self._times.retry

    async def hold(self) -> None:
        """Renews until that fails for too long, or somebody else has the lease; then returns. All writes have
        stopped."""
        while self.leading:
            await self._sleep(self._times.retry)
            if not self.leading or not await self.attempt():
                if self._taken:
                    self._valid_until = float("-inf")
                continue
        self._valid_until = float("-inf")
        log.error("the lease is lost", extra={"lease": self._name, "identity": self._identity})

    async def release(self) -> None:
        """Let a standby take over at once. Nothing may be written after this was called."""
        if not self.leading:
            return
        self._valid_until = float("-inf")
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
                await self._api.replace(LEASES, self._namespace, self._name, lease)
        except ApiError as error:
            log.warning("the lease could not be released and must expire", extra={"error": str(error)})

    @property
    def _taken(self) -> bool:
        return bool(self._seen) and self._seen[0] not in ("", self._identity)

    async def attempt(self) -> bool:
        """One attempt to take or renew; False if somebody else holds the lease or the server did not answer."""
        sent = self._clock()
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            return await self._create(sent)
        except ApiError as error:
            log.warning("the lease cannot be read", extra={"error": str(error)})
            return False
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity") or ""
        seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"), lease["metadata"].get("resourceVersion"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        if holder not in ("", self._identity):
            duration = float(spec.get("leaseDurationSeconds") or self._times.duration)
            self._theirs_until = self._seen_at + PATIENCE * duration
            if self._clock() < self._theirs_until:
                return False
            log.warning("the holder has not renewed in time", extra={"holder": holder})
        sent = self._clock()
        lease["spec"] = self._spec(
            transitions=int(spec.get("leaseTransitions") or 0) + (holder != self._identity), old=spec
        )
        try:
            lease = await self._api.replace(LEASES, self._namespace, self._name, lease)
        except ConflictError:
            return False
        except ApiError as error:
            log.warning("the lease cannot be renewed", extra={"error": str(error)})
            return False
        self._ours(lease, sent)
        return True

    async def _create(self, sent: float) -> bool:
        body = {
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(transitions=0, old={}),
        }
        try:
            lease = await self._api.create(LEASES, self._namespace, body)
        except (AlreadyExistsError, ConflictError):
            return False
        except ApiError as error:
            log.warning("the lease cannot be created", extra={"error": str(error)})
            return False
        self._ours(lease, sent)
        return True

    def _ours(self, lease: Object, sent: float) -> None:
        spec = lease.get("spec", {})
        self._seen = (
            self._identity,
            spec.get("renewTime"),
            spec.get("leaseTransitions"),
            lease["metadata"].get("resourceVersion"),
        )
        self._seen_at = self._clock()
        self._valid_until = sent + self._times.renew_deadline

    def _spec(self, *, transitions: int, old: Object) -> Object:
        now = _micro_time()
        same = old.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.duration)),
            "acquireTime": (old.get("acquireTime") if same else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }


def _micro_time() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
