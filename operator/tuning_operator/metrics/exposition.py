"""Reads a trial's metrics out of Prometheus text (version 0.0.4, and what of OpenMetrics looks the same).

The body comes from a user's container and is not trusted: reading costs one pass over its lines, and malformed lines
are passed over. Only what is asked for is kept. Missing is not zero: a metric that is not there is not in the answer.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

STEP: Final = "tuning_step"
PREFIX: Final = "tuning_"
_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{.*\})?\s+(\S+)(?:\s+\S+)?\s*")
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE
)
_SHOWN: Final = 200


class AmbiguousMetricError(ValueError):
    """Several series could be the metric; the message names two of them."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape said."""

    step: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    """By metric, without the prefix; NaN and infinities as they are."""


def read(body: str, metrics: Iterable[str]) -> Scrape:
    """The values of these metrics. `val_accuracy` is found as `tuning_val_accuracy`, else as `val_accuracy`.

    Raises `AmbiguousMetricError` where two series have the name of a metric.
    """
    wanted = list(dict.fromkeys(metrics))
    names = {STEP} | {PREFIX + metric for metric in wanted} | set(wanted)
    found: dict[str, tuple[str, float]] = {}
    for line in body.split("\n"):
        if not line or line.startswith("#"):
            continue
        name = _name(line)
        if name not in names:
            continue
        match = _LINE.fullmatch(line)
        if match is None or _NUMBER.fullmatch(match[3]) is None:
            continue
        series = (name + (match[2] or ""))[:_SHOWN]
        if name in found:
            raise AmbiguousMetricError(f"two series have the name {name}: {found[name][0]} and {series}; leave one")
        found[name] = series, float(match[3])
    values = {}
    for metric in wanted:
        value = found.get(PREFIX + metric, found.get(metric))
        if value is not None:
            values[metric] = value[1]
    return Scrape(_step(found.get(STEP)), values)


def _name(line: str) -> str:
    for index, character in enumerate(line):
        if character in "{ \t":
            return line[:index]
        if index > _SHOWN:
            break
    return ""


def _step(found: tuple[str, float] | None) -> int | None:
    if found is None or not math.isfinite(found[1]) or not 0 <= found[1] <= 2**53:
        return None
    return int(found[1])
