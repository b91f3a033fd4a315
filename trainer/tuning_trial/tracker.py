"""Keeps what a trial reported: last values, best values, means. Pure state, no files, no clock; not thread-safe by
itself.

Its state can be saved in a checkpoint and restored by the next attempt, so that the best value of a trial survives a
restart.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from tuning_trial.environment import Objective
from tuning_trial.report import MAX_NAME, MAX_STEP, Best, Failure, Report


class Tracker:
    """Folds the reports of one trial into one `Report`."""

    def __init__(self, objectives: Iterable[Objective] = ()) -> None:
        self.objectives = tuple(objectives)
        self.step: int | None = None
        self.steps: int | None = None
        self.last: dict[str, float] = {}
        self.best: dict[str, Best] = {}
        self.artifacts: dict[str, str] = {}
        self.error: Failure | None = None
        self.done = False
        self._windows = {o.metric: deque[float](maxlen=o.mean_window) for o in self.objectives if o.mean_window}

    def add(self, step: int, metrics: Mapping[str, Any], *, steps: int | None = None) -> None:
        """Takes one report. Raises TypeError or ValueError, and changes nothing, when a name or a value cannot be
        used.
        """
        count = _count(step, "step")
        planned = self.steps if steps is None else _count(steps, "steps")
        values = {_name(name): _value(name, value) for name, value in metrics.items()}
        self.step, self.steps = count, planned
        self.last.update(values)
        for objective in self.objectives:
            value = values.get(objective.metric)
            if value is None:
                continue
            if objective.mean_window:
                self._windows[objective.metric].append(value)
            best = self.best.get(objective.metric)
            if math.isfinite(value) and (
                best is None or (value > best.value if objective.maximize else value < best.value)
            ):
                self.best[objective.metric] = Best(value=value, step=count)

    def report(self) -> Report:
        """The state as a report."""
        return Report(
            step=self.step or 0,
            steps=self.steps,
            final=dict(self.last),
            best=dict(self.best),
            mean={name: math.fsum(w) / len(w) if _finite(w) else math.nan for name, w in self._windows.items() if w},
            error=self.error,
            artifacts=dict(self.artifacts),
            done=self.done,
        )

    def state(self) -> dict[str, Any]:
        """The history as plain JSON values, for a checkpoint."""
        return {
            "step": self.step,
            "last": dict(self.last),
            "best": {name: [b.value, b.step] for name, b in self.best.items()},
            "windows": {name: list(window) for name, window in self._windows.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over the history of an earlier attempt, as `state` gave it."""
        self.step = state["step"]
        self.last = dict(state["last"])
        names = {o.metric for o in self.objectives}
        self.best = {n: Best(value=v, step=s) for n, (v, s) in state["best"].items() if n in names}
        for name, window in self._windows.items():
            window.clear()
            window.extend(state["windows"].get(name, ()))


def _finite(values: Iterable[float]) -> bool:
    return all(math.isfinite(v) for v in values)


def _count(value: object, what: str) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]  # numpy and torch integers have __int__
        exact = number == value and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact or not 0 <= number <= MAX_STEP:
        raise ValueError(f"report: {what} is {value!r}; it must be a whole number of at least 0")
    return int(number)


def _name(name: str) -> str:
    if not name.isascii() or not name.isidentifier() or len(name) > MAX_NAME or name in ("step", "steps"):
        raise ValueError(
            f"report: {name[:80]!r} cannot name a metric; use letters, digits and _, at most {MAX_NAME} of them, "
            "and neither step nor steps"
        )
    return name


def _value(name: str, value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"report: {name} is {str(value)[:80]!r}; a metric is one number") from None
