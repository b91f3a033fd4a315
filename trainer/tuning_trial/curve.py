"""The learning curve: every report, one line of JSON each, in the checkpoint directory; for people and their charts.

Nothing is decided from it. It never fails a trial and stays small: what cannot be written is left out, and of many
lines every second one stays. A resumed trial goes on from the step at which it goes on.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = "curve.jsonl"
MAX_LINES: Final = 2000
MAX_LINE: Final = 1000
"""Bytes of a line; in a longer one only the objectives stay."""


class Curve:
    """The curve in `directory`; without one it swallows everything."""

    def __init__(self, directory: Path | None, *, keep: Collection[str] = ()) -> None:
        """`keep` are the metrics that stay in a line that is too long."""
        self._path = directory / FILE if directory is not None else None
        self._keep = keep
        self._lines: int | None = None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one report. Never raises OSError."""
        if self._path is None:
            return
        line = _line(step, values)
        if len(line) > MAX_LINE:
            line = _line(step, {name: value for name, value in values.items() if name in self._keep})
        with contextlib.suppress(OSError):
            if self._lines is None:
                self._lines = self._go_on(self._path, step)
            if self._lines >= MAX_LINES:
                self._lines = _rewrite(self._path, read_lines(self._path)[::2])
            with self._path.open("a", encoding="ascii") as file:
                file.write(line + "\n")
            self._lines += 1

    @staticmethod
    def _go_on(path: Path, step: int) -> int:
        """Drops what an earlier attempt wrote of the steps that come again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = read_lines(path)
        before = [line for line in lines if line["step"] < step]
        return len(lines) if len(before) == len(lines) else _rewrite(path, before)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The reports of a curve, oldest first; lines that are none are passed over, and no file is an empty curve."""
    found = []
    with contextlib.suppress(OSError), path.open(encoding="ascii", errors="replace") as file:
        for text in file:
            with contextlib.suppress(ValueError, RecursionError):
                line = json.loads(text)
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    found.append(line)
    return found


def _line(step: int, values: Mapping[str, float]) -> str:
    numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return json.dumps({"step": step, **numbers}, separators=(",", ":"))


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> int:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="ascii")
    new.replace(path)
    return len(lines)
