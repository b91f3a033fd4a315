"""A queue of keys with the semantics of client-go's workqueue.

A key that is added many times before it is taken is taken once. A key that is added while it is worked on is taken
again after `done`, never by two workers at once. Delayed adds keep the earliest wish. Failures back off for each key by
itself, with jitter, so that one bad study never slows another.

It belongs to one event loop; from other threads use `loop.call_soon_threadsafe(queue.add, key)`.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueClosedError(Exception):
    """The queue was closed; no key will come any more."""


class KeyQueue(Generic[K]):
    def __init__(
        self,
        *,
        first_delay: float = 0.05,
        max_delay: float = 60.0,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._jitter = jitter
        self._clock = clock or asyncio.get_running_loop().time
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """Keys that could be taken now."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """Keys with a delayed add."""
        return len(self._due)

    def add(self, key: K) -> None:
        """Have the key worked on soon."""
        self._due.pop(key, None)
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._push(key)

    def add_after(self, key: K, delay: float) -> None:
        """Have the key worked on after the delay, or earlier if something else wishes so."""
        if delay <= 0:
            self.add(key)
            return
        due = self._clock() + delay
        if self._closed or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, key))
        self._arm()

    def retry(self, key: K) -> float:
        """Have the key worked on again after its backoff; returns the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._max_delay, self._first_delay * 2.0 ** min(failures, 60))
        delay *= 0.5 + 0.5 * self._jitter()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key went well: its next failure starts from the first delay."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key; `done` must follow."""
        while not self._ready:
            if self._closed:
                raise QueueClosedError
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # the wake-up was ours: pass it on
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Work on the key has ended; if it was added meanwhile, it can be taken again."""
        self._working.discard(key)
        if key in self._dirty:
            self._push(key)

    def close(self) -> None:
        """Nothing is taken any more; waiting workers get `QueueClosedError`."""
        self._closed = True
        self._ready.clear()
        self._dirty.clear()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        while self._waiters:
            self._wake()

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # overtaken by an earlier wish, or by an add
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            delay = max(0.0, self._heap[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock() + 1e-3  # timers may fire a tick early; a second round trip is not worth it
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)
        self._arm()
