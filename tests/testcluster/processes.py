"""Processes that end when we end: started in a session of their own, stopped by process id and never by name.

A warden process holds the list of what we started and ends it if this interpreter dies without doing so itself
(SIGKILL, a crash, a CI runner that loses patience).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

WARDEN = Path(__file__).with_name("warden.py")


class ProcessDiedError(RuntimeError):
    """A process ended that should be running; the message has the end of its log."""


class Process:
    """One long-running program with its log. Also the handle by which a fault test kills, freezes and restarts it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.log = log
        self._env = dict(env or {})
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise ProcessDiedError(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        _guard.add(self._popen.pid)
        _running.append(self)

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = 60, interval: float = 0.05) -> None:
        """Wait for a sign of life; an exception of `ready` means not yet."""
        deadline = time.monotonic() + timeout
        why = ""
        while True:
            if not self.running:
                raise ProcessDiedError(
                    f"{self.name} ended with {self._popen and self._popen.returncode}\n{self.tail()}"
                )
            try:
                if ready():
                    return
            except Exception as error:  # any failure to answer is an answer: not yet
                why = f" ({error!r})"
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not ready after {timeout:g} s{why}\n{self.tail()}")
            time.sleep(interval)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children, if any is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._popen is None:
            return
        self.signal(signal.SIGKILL)
        self._popen.wait(timeout=30)
        self._forget()

    def freeze(self) -> None:
        """Stop it without ending it: connections stay open and nothing answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, grace: float = 10) -> None:
        """End it politely, then by force."""
        if self._popen is None:
            return
        if self.running:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=grace)
        self.kill()

    def tail(self, lines: int = 40) -> str:
        """The end of the log, headed by the name."""
        try:
            text = self.log.read_text(errors="replace").splitlines()[-lines:]
        except OSError as error:
            text = [str(error)]
        return "\n".join([f"--- {self.name} ({self.log})", *(line[:600] for line in text)])

    def _forget(self) -> None:
        if self._popen is not None:
            _guard.remove(self._popen.pid)
        with contextlib.suppress(ValueError):
            _running.remove(self)


class _Guard:
    """This interpreter's line to its warden."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[str] | None = None

    def add(self, group: int) -> None:
        self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._popen is None or self._popen.poll() is not None:
                self._popen = subprocess.Popen(
                    [sys.executable, "-S", "-E", str(WARDEN)], stdin=subprocess.PIPE, text=True, start_new_session=True
                )
            assert self._popen.stdin is not None
            self._popen.stdin.write(line + "\n")
            self._popen.stdin.flush()


_guard = _Guard()
_running: list[Process] = []


@atexit.register
def _stop_all() -> None:
    for process in reversed(_running.copy()):
        process.stop(grace=3)
