"""Reads a trial's metrics out of Prometheus text (version 0.0.4, and what of OpenMetrics looks the same).

The body comes from a user's container and is not trusted: reading costs one pass over its lines, and malformed lines
are passed over. Only what is asked for is kept. Missing is not zero: a metric that is not there is not in the answer.
"""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

STEP: Final = "tuning_step"
RUNG: Final = "tuning_rung"
"""One gauge for each rung and objective: `tuning_rung{metric="val_accuracy",budget="3"}`."""
PREFIX: Final = "tuning_"
_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{.*\})?\s+(\S+)(?:\s+\S+)?\s*")
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE
)
_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_BUDGET: Final = re.compile(r"[0-9]{1,10}")
_LABELS_MAX: Final = 1000
"""Characters of a rung's labels: two short words, and what a scrape target may add to them."""
_SHOWN: Final = 200


class AmbiguousMetricError(ValueError):
    """Several series could be the metric; the message names two of them."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape said."""

    step: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    """By metric, without the prefix; NaN and infinities as they are."""
    rungs: dict[int, dict[str, float]] = field(default_factory=dict)
    """By budget, then by metric: what the trial says it had reached there."""


def read(body: str, metrics: Iterable[str], budgets: Collection[int] = ()) -> Scrape:
    """The values of these metrics, now and at these rungs. `val_accuracy` is found as `tuning_val_accuracy`, else as
    `val_accuracy`.

    Raises `AmbiguousMetricError` where two series have the name of a metric, or say what it was at one rung.
    """
    wanted = list(dict.fromkeys(metrics))
    names = {STEP, RUNG} | {PREFIX + metric for metric in wanted} | set(wanted)
    found: dict[str, tuple[str, float]] = {}
    rungs = _Rungs(wanted, budgets)
    for line in body.split("\n"):
        if not line or line.startswith("#"):
            continue
        name = _name(line)
        if name not in names:
            continue
        match = _LINE.fullmatch(line)
        if match is None or _NUMBER.fullmatch(match[3]) is None:
            continue
        if name == RUNG:
            rungs.take(match[2] or "", float(match[3]))
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
    return Scrape(_step(found.get(STEP)), values, rungs.found)


class _Rungs:
    def __init__(self, metrics: Collection[str], budgets: Collection[int]) -> None:
        self._metrics = metrics
        self._budgets = budgets
        self.found: dict[int, dict[str, float]] = {}

    def take(self, text: str, value: float) -> None:
        labels = _labels(text)
        metric, budget = labels.get("metric", ""), labels.get("budget", "")
        if metric not in self._metrics or not _BUDGET.fullmatch(budget) or int(budget) not in self._budgets:
            return
        values = self.found.setdefault(int(budget), {})
        if metric in values:
            raise AmbiguousMetricError(f"two series say what {metric} was at {int(budget)} steps ({RUNG}); leave one")
        values[metric] = value


def _labels(text: str) -> dict[str, str]:
    """The labels of one series as they are written; empty if they are not well-formed."""
    if len(text) > _LABELS_MAX or not text.startswith("{") or not text.endswith("}"):
        return {}
    labels: dict[str, str] = {}
    at, end = 1, len(text) - 1
    while at < end:
        match = _LABEL.match(text, at, end)
        if match is None:
            return {} if text[at:end].strip() else labels
        labels[match[1]] = match[2]
        at = match.end()
    return labels


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
