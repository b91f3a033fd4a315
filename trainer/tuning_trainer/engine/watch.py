"""Sees from beside the training that another process of the trial has failed or fallen silent, and ends this one too.

A process that waits for another in the middle of a step cannot see that by itself, on a GPU for many minutes. Each
process shows in the common store that it lives; the first that fails leaves there why.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

LOOK_SECONDS = 1.0
SILENT_SECONDS = 60.0
"""A process that has shown no life for so long is lost."""
GRACE_SECONDS = 5.0
"""How long a process may take to end by itself once another has failed."""
_END = "tuning/end"


class Watch:
    """One a process. `fail` is called from its thread, with reason and message, when this process must end."""

    def __init__(
        self, store: Any, *, rank: int, size: int, lost: Callable[[], str | None], fail: Callable[[str, str], int]
    ) -> None:
        """`store` is a connection of its own; `lost` tells of a process that is known to have ended."""
        self._store = store
        self._rank = rank
        self._others = [other for other in range(size) if other != rank]
        self._lost = lost
        self._fail = fail
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def tell(self, reason: str, message: str) -> tuple[str, str]:
        """Leaves why this process fails, unless another has failed before; the reason and message that count."""
        own = json.dumps([self._rank, reason, message[:600]])
        try:
            first = self._store.compare_set(_END, "", own).decode()
        except Exception:  # the store is gone with the main process
            return reason, message
        return _told(first, self._rank)

    def explain(self, message: str) -> tuple[str, str]:
        """Why others are gone, for a process that noticed only that they are; waits a moment for their own word."""
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                if self._store.check([_END]):
                    return _told(self._store.get(_END).decode(), self._rank)
            time.sleep(0.2)
        return self.tell("TryAgain", f"a process of this trial is gone: {self._lost() or message}")

    def finish(self) -> None:
        """The training is over, or this process ends by itself: nothing is watched any more."""
        self._ended.set()
        with contextlib.suppress(Exception):
            self._store.set(f"tuning/over/{self._rank}", "1")
        self._thread.join(2 * LOOK_SECONDS)

    def _run(self) -> None:
        beat = 0
        seen = {other: ("", time.monotonic()) for other in self._others}
        while not self._ended.wait(LOOK_SECONDS):
            beat += 1
            try:
                self._store.set(f"tuning/beat/{self._rank}", str(beat))
                if self._store.check([_END]):
                    self._leave(*_told(self._store.get(_END).decode(), self._rank))
                for other in self._others:
                    self._look_at(other, seen)
            except Exception as error:
                self._leave("TryAgain", f"the main process of this trial is gone: {' '.join(str(error).split())[:200]}")
            gone = self._lost()
            if gone is not None:
                self._leave(*self.explain(gone))

    def _look_at(self, other: int, seen: dict[int, tuple[str, float]]) -> None:
        if not self._store.check([f"tuning/beat/{other}"]) or self._store.check([f"tuning/over/{other}"]):
            return
        now, beat = time.monotonic(), self._store.get(f"tuning/beat/{other}").decode()
        if beat != seen[other][0]:
            seen[other] = (beat, now)
        elif now - seen[other][1] > SILENT_SECONDS:
            self._leave(*self.tell("TryAgain", f"process {other} of this trial has shown no life for a minute"))

    def _leave(self, reason: str, message: str) -> NoReturn:  # returns where the main thread ends
        """Ends the process, unless its main thread does so itself in time."""
        if self._ended.wait(GRACE_SECONDS):
            raise SystemExit
        os._exit(self._fail(reason, message))


def connection(store: Any) -> Any:
    """Another connection to the same store, for another thread."""
    import torch.distributed as dist

    while isinstance(store, dist.PrefixStore):  # type: ignore[attr-defined]
        store = store.underlying_store
    limit = timedelta(seconds=30)
    return dist.TCPStore(store.host, store.port, is_master=False, timeout=limit)  # type: ignore[attr-defined]


def _told(first: str, rank: int) -> tuple[str, str]:
    failed, reason, message = json.loads(first)
    return reason, message if failed == rank else f"process {failed}: {message}"
