"""`Logs`: the operator reads what the trial's first container prints, from its kubelet through the API server.

Nothing is followed: each look reads what was printed since the line before, at most `LOOK_MAX` bytes, so a chatty
container costs no more than that for each interval, and is read later than it prints. After the end everything that is
left is read, up to `END_MAX` bytes; of more than that the last lines. A kubelet serves the newest file of a log only
(10 MiB by default): what it has rotated away between two looks is lost, and so is the log of a deleted pod.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from tuning_operator.cluster.collect import NoMoreError, Seen, Target
from tuning_operator.cluster.errors import ForbiddenError, InvalidError, NotFoundError
from tuning_operator.metrics.lines import Lines, Printed

LOOK_MAX: Final = 256 << 10
END_MAX: Final = 32 << 20
TAIL_LINES: Final = 5000

Moment = tuple[int, int]
"""Seconds and nanoseconds of a line, as the kubelet gives them."""


class LogApi(Protocol):
    """What is needed of the API server."""

    def log(
        self, namespace: str, pod: str, *, container: str, since: str = "", tail: int = 0, limit: int = 0
    ) -> AsyncGenerator[bytes]: ...


@dataclass(slots=True)
class _Cursor:
    printed: Printed
    at: Moment = (0, 0)
    """Of the last line that was read."""
    count: int = 0
    """How many lines of that moment were read."""


class LogReader:
    def __init__(self, api: LogApi) -> None:
        self._api = api

    async def look(self, target: Target) -> Seen:
        logs = target.spec.metrics.logs
        if target.cursor is None:
            target.cursor = _Cursor(Printed(target.wanted, step=None if logs is None else logs.step))
        cursor: _Cursor = target.cursor
        if not target.pod.ended:
            await self._read(target, cursor, limit=LOOK_MAX)
            return Seen(target.live.report())
        try:
            if not await self._read(target, cursor, most=END_MAX):
                cursor.count = 0  # of the last lines it cannot be said which were read; these few may count twice
                await self._read(target, cursor, tail=TAIL_LINES)
        except (NotFoundError, ForbiddenError, InvalidError) as error:
            raise NoMoreError(f"its log cannot be read: {error}") from error
        return Seen(target.live.report())

    def grace(self, target: Target) -> float:
        return 0.0

    async def _read(self, target: Target, cursor: _Cursor, *, limit: int = 0, most: int = 0, tail: int = 0) -> bool:
        """Takes in the lines that are new; False if there were too many to read them all."""
        identity, lines = target.pod.identity, Lines()
        size, before, skipped = 0, (cursor.at, cursor.count), 0
        pieces = self._api.log(
            identity.namespace,
            identity.name,
            container=target.pod.container,
            since=_since(cursor.at),
            tail=tail,
            limit=limit,
        )
        async with aclosing(pieces):
            async for piece in pieces:
                size += len(piece)
                for line in lines.feed(piece):
                    skipped += _take(target, cursor, line, before, skipped)
                if most and size > most:
                    return False
        if target.pod.ended:
            for line in lines.end():
                _take(target, cursor, line, before, skipped)
        elif limit and size >= limit and (cursor.at, cursor.count) == before:
            # One second holds more than a look may read: go on behind it, instead of reading its beginning for ever.
            cursor.at, cursor.count = (cursor.at[0] + 1, -1), 0
        return True


def _take(target: Target, cursor: _Cursor, line: str, before: tuple[Moment, int], skipped: int) -> int:
    """1 if the line was read in an earlier look: those of one second come again with it."""
    when, text = _moment(line)
    if when is not None:
        at, count = before
        if when < at:
            return 0
        if when == at and skipped < count:
            return 1
        cursor.count = cursor.count + 1 if when == cursor.at else 1
        cursor.at = when
    for scrape in cursor.printed.read(text):
        target.live.add(scrape)
    return 0


def _moment(line: str) -> tuple[Moment | None, str]:
    """The time before a line, and the line. Words of the kubelet itself have none."""
    stamp, _, text = line.partition(" ")
    seconds, dot, fraction = stamp.partition(".")
    digits = fraction.rstrip("Z")
    zone = "+00:00" if stamp.endswith("Z") else ""
    if not zone and dot:
        for sign in "+-":
            head, found, offset = fraction.partition(sign)
            if found:
                digits, zone = head, sign + offset
    try:
        whole = datetime.fromisoformat(seconds.rstrip("Z") + zone)
        if whole.tzinfo is None or (digits and not digits.isdecimal()):
            return None, line
        return (int(whole.timestamp()), int(digits.ljust(9, "0")[:9] or 0)), text
    except ValueError:
        return None, line


def _since(at: Moment) -> str:
    """The API server passes on whole seconds."""
    return datetime.fromtimestamp(at[0], UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at[0] else ""
