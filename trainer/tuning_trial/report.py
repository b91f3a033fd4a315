"""The report: what a trial leaves behind in its termination message, at most 4096 bytes of JSON.

Written by the trial, read by the operator and the local runner; all import this module. It is pure: no files, no
environment. What it reads was written by a trial and is not trusted: `Report.parse` returns a checked report or raises
`ReportError`, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

VERSION: Final = 1
MAX_BYTES: Final = 4096
MAX_NAME: Final = 200
"""Longest name of a metric or an artifact, in characters."""
MAX_MESSAGE: Final = 1000
"""Longest error message, in characters; longer ones are cut when written."""
MAX_STEP: Final = 2**53

_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class ReportError(ValueError):
    """A report that cannot be used; the message says which field, what it holds and what it must be."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best finite value of an objective so far, and the step that reported it."""

    value: float
    step: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial ended with a failure code: a CamelCase reason and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """One state of a trial; see docs/trial-contract.md for the meaning of each field."""

    step: int = 0
    steps: int | None = None
    final: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Best] = field(default_factory=dict)
    mean: Mapping[str, float] = field(default_factory=dict)
    rungs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Budget -> value of each objective there, summarised as the study asks."""
    error: Failure | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    done: bool = False

    @classmethod
    def parse(cls, body: str | bytes) -> Report:
        """Reads a report as a trial wrote it. Unknown fields are ignored, so that a newer trial can be read.

        Raises `ReportError` for everything that is not a report: other text, JSON of another shape, numbers out of
        range, more than 4096 bytes (a pod's termination message would have been cut there).
        """
        return _parse(body)

    def to_json(self, *, keep: Collection[str] = ()) -> str:
        """Compact JSON of at most 4096 bytes, ASCII only.

        What does not fit is left out in this order: metrics not named in `keep` (the objectives), last name first; most
        of the error message; artifacts; rungs but the last, the earliest first; the metrics that are left; the last
        rung. The step, the reason of a failure and `done` are always there.
        """
        return _dump(self, frozenset(keep))


def _dump(report: Report, keep: frozenset[str]) -> str:
    text = _encode(report)
    if len(text) <= MAX_BYTES:
        return text
    final = dict(report.final)
    excess = len(text) - MAX_BYTES
    for name in sorted((n for n in final if n not in keep), reverse=True):
        if excess <= 0:
            break
        excess -= len(json.dumps({name: _word(final.pop(name))}, separators=(",", ":"))) - 1
    report = replace(report, final=final)
    candidates = [report, replace(report, error=_cut(report.error, 200))]
    candidates.append(replace(candidates[-1], artifacts={}))
    budgets = sorted(report.rungs)
    for first in range(1, len(budgets)):
        candidates.append(replace(candidates[-1], rungs={budget: report.rungs[budget] for budget in budgets[first:]}))
    for emptied in ("final", "mean", "best", "rungs"):
        candidates.append(replace(candidates[-1], **{emptied: {}}))  # type: ignore[arg-type]
    for candidate in candidates:
        text = _encode(candidate)
        if len(text) <= MAX_BYTES:
            return text
    return _encode(Report(step=report.step, steps=report.steps, error=_cut(report.error, 60), done=report.done))


def _encode(report: Report) -> str:
    body: dict[str, Any] = {"v": VERSION, "step": report.step}
    if report.steps is not None:
        body["steps"] = report.steps
    body["final"] = {name: _word(value) for name, value in sorted(report.final.items())}
    if report.best:
        body["best"] = {n: {"value": _word(b.value), "step": b.step} for n, b in sorted(report.best.items())}
    if report.mean:
        body["mean"] = {name: _word(value) for name, value in sorted(report.mean.items())}
    if report.rungs:
        body["rungs"] = {
            str(budget): {name: _word(value) for name, value in sorted(values.items())}
            for budget, values in sorted(report.rungs.items())
        }
    if report.error is not None:
        error = _cut(report.error, MAX_MESSAGE)
        assert error is not None
        body["error"] = {"reason": error.reason, "message": error.message}
    if report.artifacts:
        body["artifacts"] = dict(sorted(report.artifacts.items()))
    body["done"] = report.done
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def _cut(error: Failure | None, length: int) -> Failure | None:
    if error is None:
        return None
    message = error.message if len(error.message) <= length else error.message[: length - 3] + "..."
    return Failure(reason=error.reason[:MAX_NAME], message=message)


def _word(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _parse(body: str | bytes) -> Report:
    raw = _decode(body)
    version = raw.get("v")
    if version != VERSION or isinstance(version, bool):
        raise ReportError(f"v is {_show(version)}; this reader knows version {VERSION}")
    steps = raw.get("steps")
    done = raw.get("done", False)
    if not isinstance(done, bool):
        raise ReportError(f"done is {_show(done)}; it must be true or false")
    return Report(
        step=_step(raw.get("step", 0), "step"),
        steps=None if steps is None else _step(steps, "steps"),
        final=_numbers(raw, "final"),
        best={name: _best(value, f"best.{name}") for name, value in _object(raw, "best").items()},
        mean=_numbers(raw, "mean"),
        rungs=_rungs(raw),
        error=_failure(raw.get("error")),
        artifacts={name: _text(value, f"artifacts.{name}") for name, value in _object(raw, "artifacts").items()},
        done=done,
    )


def _decode(body: str | bytes) -> dict[str, Any]:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    if len(data) > MAX_BYTES:
        raise ReportError(f"the report has {len(data)} bytes; at most {MAX_BYTES} are kept")
    if not data.strip():
        raise ReportError("the report is empty; the trial ended before its first report")
    try:
        raw = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ReportError(f"the report is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise ReportError("the report is nested too deeply") from None
    except ValueError as error:
        raise ReportError(f"the report is not JSON ({str(error)[:200]}); it begins with {_show(data[:60])}") from None
    if not isinstance(raw, dict):
        raise ReportError(f"the report is {_show(raw)}; it must be a JSON object")
    return raw


def _object(raw: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any]:
    value = raw.get(key)
    where = where or key
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReportError(f"{where} is {_show(value)}; it must be an object")
    for name in value:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise ReportError(f"{where} has the name {_show(name)}; a name has 1 to {MAX_NAME} printable characters")
    return value


def _numbers(raw: Mapping[str, Any], key: str, where: str = "") -> dict[str, float]:
    where = where or key
    return {name: _number(value, f"{where}.{name}") for name, value in _object(raw, key, where).items()}


def _rungs(raw: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    rungs = {}
    for budget in _object(raw, "rungs"):
        if not (budget.isascii() and budget.isdigit() and budget == str(int(budget)) and int(budget) <= MAX_STEP):
            raise ReportError(f"rungs has the budget {_show(budget)}; it must be a whole number from 0 to 2**53")
        rungs[int(budget)] = _numbers(raw["rungs"], budget, f"rungs.{budget}")
    return rungs


def _number(value: object, where: str) -> float:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError(f"{where} is {_show(value)}; it must be a number, or NaN, Infinity or -Infinity as text")
    try:
        return float(value)
    except OverflowError:
        raise ReportError(f"{where} is too large for a number") from None


def _step(value: object, where: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_STEP:
        raise ReportError(f"{where} is {_show(value)}; it must be a whole number from 0 to 2**53")
    return value


def _best(value: object, where: str) -> Best:
    if not isinstance(value, dict):
        raise ReportError(f"{where} is {_show(value)}; it must be an object with value and step")
    number = _number(value.get("value"), f"{where}.value")
    if not math.isfinite(number):
        raise ReportError(f"{where}.value is {number}; a best value is finite")
    return Best(value=number, step=_step(value.get("step"), f"{where}.step"))


def _failure(value: object) -> Failure | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ReportError(f"error is {_show(value)}; it must be an object with reason and message")
    reason = _text(value.get("reason"), "error.reason")
    return Failure(reason=reason[:MAX_NAME], message=_text(value.get("message", ""), "error.message")[:MAX_MESSAGE])


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ReportError(f"{where} is {_show(value)}; it must be text")
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in value)


def _show(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python will print
        text = "a very long number"
    return text if len(text) <= 80 else text[:77] + "..."
