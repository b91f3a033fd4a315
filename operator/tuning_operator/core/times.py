"""Durations and times as the resources write them. Reads no clock."""

import re
from datetime import UTC, datetime
from typing import Final

_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def seconds(duration: str) -> float:
    """`1h30m` -> 5400.0"""
    match = _DURATION.fullmatch(duration)
    if match is None or not duration:
        raise ValueError(
            f"{duration!r} is no duration: write hours, minutes and seconds in this order, for example 6h, 1h30m or 90s"
        )
    hours, minutes, secs = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + secs)


def timestamp(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC, whole seconds: `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
