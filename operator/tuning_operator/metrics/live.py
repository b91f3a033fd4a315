"""What was seen of one attempt, look by look, folded into the report that the trial itself would have left.

For images without the SDK this is all there is, and only as good as the scrapes: values between two of them are not
seen. Rungs are exact where the trial has a gauge for each of them, as the SDK does; of an image that only tells its
steps, the first value seen at or after a rung is the rung's.
"""

import math
from collections import deque
from collections.abc import Sequence

from tuning_operator.api.study import Goal, Objective, Summarize
from tuning_operator.core.objectives import summarize
from tuning_operator.metrics.exposition import Scrape
from tuning_trial.report import Best, Report


class Live:
    def __init__(
        self, objectives: Sequence[Objective], budgets: Sequence[int] = (), *, each_is_news: bool = False
    ) -> None:
        """`budgets`: the rungs of this trial, rising. `each_is_news`: the same values again were told again, and are
        not an old state seen twice."""
        self._objectives = objectives
        self._budgets = budgets
        self._each_is_news = each_is_news
        self._rungs: dict[int, dict[str, float]] = {}
        self._tells_rungs = False
        self._windows: dict[str, deque[float]] = {
            o.metric: deque(maxlen=o.window or 1) for o in objectives if o.summarize is Summarize.MEAN
        }
        self._best: dict[str, Best] = {}
        self._values: dict[str, float] = {}
        self._step: int | None = None
        self._count = 0

    def add(self, scrape: Scrape) -> Report | None:
        """The report as it stands now; None as long as nothing was seen."""
        self._tells_rungs = self._tells_rungs or bool(scrape.rungs)
        for budget, values in scrape.rungs.items():
            # What was seen first stands: a rung's value is one.
            self._rungs[budget] = {**values, **self._rungs.get(budget, {})}
        if not scrape.values:
            return self.report()
        told = scrape.values.items()
        again = not self._each_is_news and scrape.step == self._step and told <= self._values.items()
        if not again:
            self._count += 1
            self._fold(scrape)
        self._values = {**self._values, **scrape.values}
        self._step = scrape.step
        if not self._tells_rungs and scrape.step is not None:
            self._passed(scrape.step)
        return self.report()

    def report(self) -> Report | None:
        if not self._values:
            return None
        return Report(
            step=self._number(self._step),
            final=dict(self._values),
            best=dict(self._best),
            mean=self._means(),
            rungs={budget: dict(values) for budget, values in sorted(self._rungs.items())},
        )

    def _passed(self, step: int) -> None:
        """The rungs up to this step have the values of now, summarised as the study asks; missing ones may follow."""
        passed = [budget for budget in self._budgets if budget <= step and budget not in self._rungs]
        if not passed:
            return
        summary = summarize(self.report(), self._objectives)
        if not summary.missing:
            values = {name: self._values[name] for name in summary.not_finite} | dict(summary.values)
            self._rungs |= dict.fromkeys(passed, values)

    def _means(self) -> dict[str, float]:
        return {name: math.fsum(window) / len(window) for name, window in self._windows.items() if window}

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
