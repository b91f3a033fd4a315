"""Keeps what a trial reported: last values, best values, means, values at rungs. Pure state, no files, no clock; not
thread-safe by itself.

Its state can be saved in a checkpoint and restored by the next attempt, so that the best value of a trial survives a
restart.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tuning_trial.environment import Objective
from tuning_trial.report import MAX_NAME, MAX_STEP, Best, Failure, Report


class Tracker:
    """Folds the reports of one trial into one `Report`."""

    def __init__(self, objectives: Iterable[Objective] = (), budgets: Iterable[int] = ()) -> None:
        """`budgets` are the rungs: at each the first report at or after it gives the value of the objectives."""
        self.objectives = tuple(objectives)
        self._budgets = tuple(budgets)
        self.step: int | None = None
        self.steps: int | None = None
        self.last: dict[str, float] = {}
        self.best: dict[str, Best] = {}
        self.rungs: dict[int, dict[str, float]] = {}
        self.artifacts: dict[str, str] = {}
        self.error: Failure | None = None
        self.done = False
        self._windows = {o.metric: deque[float](maxlen=o.mean_window) for o in self.objectives if o.mean_window}

    def add(self, step: int, metrics: Mapping[str, Any], *, steps: int | None = None) -> dict[str, float]:
        """Takes one report and gives its values as numbers.

        Raises TypeError or ValueError, and changes nothing, when a name or a value cannot be used.
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
            self._reach(objective, value, step=count)
        return values

    def report(self) -> Report:
        """The state as a report."""
        return Report(
            step=self.step or 0,
            steps=self.steps,
            final=dict(self.last),
            best=dict(self.best),
            mean={name: _mean(window) for name, window in self._windows.items() if window},
            rungs={budget: dict(values) for budget, values in self.rungs.items()},
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
            "rungs": {str(budget): dict(values) for budget, values in self.rungs.items()},
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
        self.rungs = {int(budget): dict(values) for budget, values in state.get("rungs", {}).items()}

    def _reach(self, objective: Objective, value: float, *, step: int) -> None:
        """Fills the rungs that this step is at or beyond. What one holds already stays."""
        for budget in self._budgets:
            if budget > step:
                return
            self.rungs.setdefault(budget, {}).setdefault(objective.metric, self._summary(objective, value))

    def _summary(self, objective: Objective, value: float) -> float:
        if objective.mean_window:
            return _mean(self._windows[objective.metric])
        best = self.best.get(objective.metric) if objective.best_counts else None
        return value if best is None else best.value


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values) if all(math.isfinite(v) for v in values) else math.nan


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
