"""Reads values out of what a program prints: `name=value`, `name: value`, or one JSON object a line.

The text comes from a user's container and is not trusted: a line is looked at once, its length is bounded, and what is
not understood is passed over. Only the metrics that are asked for are found, by their whole names. A step counts for
the values beside it and for those that follow, until another one is printed.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tuning_operator.metrics.exposition import PREFIX, Scrape

LINE_MAX: Final = 16 << 10
"""Bytes of a line that are looked at: the rest of a longer one is passed over, to its end."""
STEPS: Final = ("step", "epoch")
"""Names of the step, the first one that is printed at all."""
_NUMBER: Final = (
    r"[+-]?(?:(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,10})?|inf(?:inity)?|nan)(?![A-Za-z0-9_])"
)
_BEFORE: Final = r"(?<![A-Za-z0-9_./-])"
_BETWEEN: Final = r"[\"']?[ \t]{0,8}[=:][ \t]{0,8}[\"']?"
_ESCAPES: Final = re.compile("\x1b\\[[0-9;]{0,20}[A-Za-z]")
"""Colours of a terminal."""


class Lines:
    """Cuts a stream of bytes into lines, however it comes in pieces; no more of one is kept than may be looked at."""

    def __init__(self) -> None:
        self._rest = b""
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[str]:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            text, too_long = self._rest + line, self._too_long
            self._rest, self._too_long = b"", False
            if not too_long:
                yield _looked_at(text)
        if self._too_long:
            return
        self._rest += rest
        if len(self._rest) > LINE_MAX:
            # Its beginning counts now; its end is passed over when it comes.
            yield _looked_at(self._rest)
            self._rest, self._too_long = b"", True

    def end(self) -> Iterator[str]:
        """What is left without a line end."""
        if self._rest and not self._too_long:
            yield self._rest.decode("utf-8", "replace")
        self._rest, self._too_long = b"", False


class Printed:
    """What one attempt prints. Lines go in, in their order; values come out."""

    def __init__(self, metrics: Iterable[str], *, step: str | None = None) -> None:
        self._metrics = frozenset(metrics)
        self._steps = STEPS if step is None else (step,)
        wanted = sorted([*self._metrics, *self._steps], key=len, reverse=True)
        self._pattern = re.compile(
            f"{_BEFORE}(?:{PREFIX})?({'|'.join(map(re.escape, wanted))}){_BETWEEN}({_NUMBER})", re.IGNORECASE
        )
        bare = "|".join(map(re.escape, self._steps))
        self._heading = re.compile(f"{_BEFORE}({bare})[ \t]{{1,8}}([0-9]{{1,15}})(?![A-Za-z0-9_.])", re.IGNORECASE)
        self._by: str | None = None
        """Which of the names of the step is printed here."""
        self._step: int | None = None

    def read(self, line: str) -> Iterator[Scrape]:
        """The values of one line. A progress bar writes over itself: each of its states is a line of its own."""
        for part in line.split("\r") if "\r" in line else (line,):
            found = self._values(part)
            if found:
                yield Scrape(self._step, found)

    def _values(self, line: str) -> dict[str, float]:
        text = line.strip()
        if text.startswith("{"):
            body = _object(text)
            if body is not None:
                return self._of_json(body)
        if "\x1b" in text:
            text = _ESCAPES.sub("", text)
        values: dict[str, float] = {}
        steps: dict[str, float] = {}
        for match in self._pattern.finditer(text):
            name, number = match[1], float(match[2])
            if name in self._metrics:
                values[name] = number
            elif name.lower() in self._steps or name in self._steps:
                steps[name if name in self._steps else name.lower()] = number
        for match in self._heading.finditer(text):
            name = match[1] if match[1] in self._steps else match[1].lower()
            steps.setdefault(name, float(match[2]))
        self._move(steps)
        return values

    def _of_json(self, body: dict[str, Any]) -> dict[str, float]:
        values = {}
        for metric in self._metrics:
            value = body.get(PREFIX + metric, body.get(metric))
            number = _number(value)
            if number is not None:
                values[metric] = number
        steps = {name: _number(body.get(name)) for name in self._steps}
        self._move({name: number for name, number in steps.items() if number is not None})
        return values

    def _move(self, steps: dict[str, float]) -> None:
        for name in self._steps:
            number = steps.get(name)
            if number is not None and math.isfinite(number) and 0 <= number <= 2**53:
                if self._by is None or self._steps.index(name) <= self._steps.index(self._by):
                    self._by, self._step = name, int(number)
                return


def _looked_at(line: bytes) -> str:
    """All of a line, or its first words: half a number is another number."""
    if len(line) > LINE_MAX:
        line = line[:LINE_MAX].rpartition(b" ")[0]
    return line.decode("utf-8", "replace")


def _object(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return float(value)
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
