"""One attempt's scrapes, folded into the report that the trial itself would have left.

For images without the SDK this is all there is, and only as good as the scrapes: values between two of them are not
seen.
"""

import math
from collections import deque
from collections.abc import Sequence

from tuning_operator.api.study import Goal, Objective, Summarize
from tuning_operator.metrics.exposition import Scrape
from tuning_trial.report import Best, Report


class Live:
    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = objectives
        self._windows: dict[str, deque[float]] = {
            o.metric: deque(maxlen=o.window or 1) for o in objectives if o.summarize is Summarize.MEAN
        }
        self._best: dict[str, Best] = {}
        self._values: dict[str, float] = {}
        self._step: int | None = None
        self._count = 0

    def add(self, scrape: Scrape) -> Report | None:
        """The report as it stands now; None as long as nothing was seen."""
        if not scrape.values:
            return self.report()
        again = scrape.values == self._values and scrape.step == self._step
        if not again:
            self._count += 1
            self._fold(scrape)
        self._values = {**self._values, **scrape.values}
        self._step = scrape.step
        return self.report()

    def report(self) -> Report | None:
        if not self._values:
            return None
        means = {name: math.fsum(window) / len(window) for name, window in self._windows.items() if window}
        return Report(step=self._number(self._step), final=dict(self._values), best=dict(self._best), mean=means)

    def _fold(self, scrape: Scrape) -> None:
        for objective in self._objectives:
            value = scrape.values.get(objective.metric)
            if value is None or not math.isfinite(value):
                continue
            before = self._best.get(objective.metric)
            if before is None or (value > before.value if objective.goal is Goal.MAXIMIZE else value < before.value):
                self._best[objective.metric] = Best(value, self._number(scrape.step))
            if objective.metric in self._windows:
                self._windows[objective.metric].append(value)

    def _number(self, step: int | None) -> int:
        """Without a step gauge, the scrapes that brought news are counted."""
        return self._count if step is None else step
