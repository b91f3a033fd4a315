"""SIGTERM, the polite stop of a trial.

The handler is installed by the first use of the SDK and keeps an earlier handler working. A trial that asks
`requested()` ends by itself, with its checkpoint saved. One that never asks is ended at once with 143: as process 1 of
a container it would otherwise ignore the signal and be killed only after the grace period.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

from tuning_trial.exit_codes import STOPPED


class StopSignal:
    """Remembers that SIGTERM came. One a process."""

    def __init__(self) -> None:
        self._seen = False
        self._asked = False
        self._installed = False
        self._previous: object = None

    def install(self) -> None:
        """Takes SIGTERM over, once; does nothing outside the main thread, where Python allows no handlers."""
        if self._installed or threading.current_thread() is not threading.main_thread():
            return
        self._previous = signal.signal(signal.SIGTERM, self._handle)
        self._installed = True

    def uninstall(self) -> None:
        """Gives SIGTERM back to whoever had it (for tests and embedding programs)."""
        if self._installed and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._previous)  # type: ignore[arg-type]
        self._installed = False

    def requested(self) -> bool:
        """Whether SIGTERM came. Cheap enough to ask at every step."""
        if not self._asked:
            self._asked = True
            self.install()
        return self._seen

    @property
    def seen(self) -> bool:
        """Whether SIGTERM came, without counting as a trial that asks."""
        return self._seen

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        if callable(self._previous):
            self._previous(number, frame)
        elif not self._asked:
            sys.exit(STOPPED)
