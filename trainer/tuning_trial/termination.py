"""Writes the report where the runner finds it: rewritten in place, because a pod's termination log cannot be renamed.

Never the reason a trial ends: a file that cannot be written is told once on standard error and then left alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


class TerminationFile:
    """The report file of this trial; with no path it swallows everything."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._told = False

    def write(self, text: str) -> bool:
        """Replaces the content by `text`; returns whether it was stored. Never raises OSError."""
        if self._path is None:
            return False
        data = text.encode("ascii")
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _write_all(descriptor, data)
                os.ftruncate(descriptor, len(data))
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._told:
                self._told = True
                print(f"tuning_trial: the report cannot be written to {self._path}: {error}", file=sys.stderr)
            return False
        return True


def _write_all(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
