"""Which namespaces this replica serves, where several replicas work at once.

A study belongs to the shard that its namespace hashes to. The namespace and not the study, since what an administrator
allows a namespace (trials and accelerators at once, fair shares) and what studies teach each other are kept by one
process. Each shard has a lease of its own; a replica holds at most one, and whoever holds none stands by for all.

Were the number of shards changed while replicas still work by the old one, a study would have two owners. So there is
one lease beside those of the shards, of which the number is the holder: all replicas that work by it renew it, and
those of another number wait until nobody has for the lease's whole time. A single shard is a lease of that same name,
held by a replica, so going from one to many and back is no different.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable

from tuning_operator.cluster.lease import Lease, NotLeaderError

log = logging.getLogger(__name__)


def shard_of(namespace: str, shards: int) -> int:
    """The same in every process and version."""
    return int.from_bytes(hashlib.sha256(namespace.encode()).digest()[:8], "big") % shards


class Seat:
    """The lease, or both leases, by which this replica works. All that `Lease` promises holds of both together."""

    def __init__(
        self,
        shards: int,
        *,
        name: str,
        identity: str,
        lease: Callable[[str, str], Lease],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`lease(name, identity)` makes one."""
        self.shards = shards
        self.shard: int | None = None
        """The one that is served."""
        self._layout = lease(name, f"{shards} shards") if shards > 1 else None
        self._leases = (
            [lease(f"{name}-{n}", identity) for n in range(shards)] if shards > 1 else [lease(name, identity)]
        )
        self._sleep = sleep

    @property
    def leading(self) -> bool:
        return self.shard is not None and all(each.leading for each in self._held(self.shard))

    def check(self) -> None:
        """The gate of every write."""
        if self.shard is None:
            raise NotLeaderError("no lease is ours (any more): nothing is written")
        for lease in self._held(self.shard):
            lease.check()

    def serves(self, namespace: str) -> bool:
        return self.shards == 1 or shard_of(namespace, self.shards) == self.shard

    async def acquire(self) -> None:
        """Returns once we lead."""
        log.info("waiting for a lease", extra={"shards": self.shards})
        while True:
            self.shard = None
            shard = await self._any()
            if self._layout is None or await self._layout.attempt():
                self.shard = shard
                log.info("leading", extra={"shard": shard})
                return
            # Others still work by another number of shards.
            await self._leases[shard].release()
            await self._sleep(self._layout.pause)

    async def hold(self) -> None:
        """Renews until that fails for too long; then returns. All writes have stopped. One who is cancelled still has
        the lease, for the last writes, and to give it back."""
        if self.shard is None:
            return
        holding = [asyncio.create_task(lease.hold()) for lease in self._held(self.shard)]
        try:
            await asyncio.wait(holding, return_when=asyncio.FIRST_COMPLETED)
            self.shard = None
        finally:
            for task in holding:
                task.cancel()
            await asyncio.gather(*holding, return_exceptions=True)

    async def release(self) -> None:
        """Let a standby take over at once. The number of shards goes on to hold as long as others work by it."""
        shard, self.shard = self.shard, None
        if shard is not None:
            await self._leases[shard].release()

    def _held(self, shard: int) -> list[Lease]:
        return [self._leases[shard], *([] if self._layout is None else [self._layout])]

    async def _any(self) -> int:
        """The first lease that can be had, beginning somewhere, so that replicas do not all ask for the same."""
        first = random.randrange(self.shards)
        while True:
            for number in range(first, first + self.shards):
                if await self._leases[number % self.shards].attempt():
                    return number % self.shards
            await self._sleep(min(lease.pause for lease in self._leases))
