"""What trials reached at their rungs, and what follows from it: the scheduler's words, on the ledger's values.

A scheduler decides from committed values alone. So a value is recorded together with what followed from it, once, and
every later decision finds both as they were, whatever was lost in between. Knows nothing of runs and slots.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.kept import Blocks, Kept
from tuning_operator.core.model import Rung, Trial
from tuning_operator.search.schedulers import scheduler_for
from tuning_operator.search.schedulers.table import Loss, Row, Scheduler, State, Verdict
from tuning_trial.report import Report

UNPROMISING: Final = "Unpromising"
NOT_PROMOTED: Final = "NotPromoted"
RUNGS_SHOWN: Final = 64
"""Most lines of the table in the status."""
_NOBODY: Final = (0, 0, math.inf)

Line = tuple[int, int, float]
"""Of a rung: how many reached it, how many went on, and the least loss there."""
RungLines = dict[tuple[int, int], Line]
"""By bracket and budget."""


def until(spec: StudySpec, trial: Trial) -> int | None:
    """The step at which this attempt is to stop by itself, saving a checkpoint; the full budget: it trains to its end.

    None where the study has no fidelity.
    """
    if spec.fidelity is None:
        return None
    full = spec.fidelity.max
    if trial.role is not Role.SEARCH:
        return full
    if _generations(spec):
        return min(((trial.suggestion.generation or 0) + 1) * spec.fidelity.min, full)
    scheduler = scheduler_for(spec)
    if scheduler is None:
        return full
    passed = sum(rung.promoted for rung in trial.rungs)
    return min(full, scheduler.until(trial.number, passed - 1))


def budgets(spec: StudySpec, trial: Trial) -> tuple[int, ...]:
    """The steps at which the trial's values are looked at, rising; the last one ends it."""
    if spec.fidelity is None:
        return ()
    scheduler = None if trial.role is not Role.SEARCH or _generations(spec) else scheduler_for(spec)
    if scheduler is None:
        return (until(spec, trial) or spec.fidelity.max,)
    return scheduler.rungs(trial.number)


def ends_at(spec: StudySpec, trial: Trial) -> int | None:
    """The step at which this attempt ends by itself without being done; None where it trains to its end."""
    step = until(spec, trial)
    return None if spec.fidelity is None or step == spec.fidelity.max else step


def generation_done(spec: StudySpec, trial: Trial, report: Report | None) -> bool:
    """Whether a member of a population has trained as long as its generation does: that is its whole budget."""
    step = until(spec, trial) if _generations(spec) and trial.role is Role.SEARCH else None
    return step is not None and report is not None and report.step >= step


class Ladder:
    """The table of a study's search trials, as it stands in the middle of one decision."""

    def __init__(self, spec: StudySpec, scheduler: Scheduler, trials: Sequence[Trial], kept: Kept[Row]) -> None:
        self._spec = spec
        self._scheduler = scheduler
        self._trials = trials
        self._kept = kept
        self._signs = [(o.metric, -1.0 if o.goal is Goal.MAXIMIZE else 1.0) for o in spec.objectives]
        self._changed: dict[int, Trial] = {}
        self._rows: dict[int, Row] | None = None

    def reached(self, trial: Trial, reports: Sequence[Report | None]) -> Trial:
        """The trial with what these reports say of rungs that it has no value of yet.

        Of several at once all but the last count as passed: their steps are paid for. Where one was skipped, the next
        one's value stands for it. The full budget is left to the result.
        """
        known = trial.rungs[-1].budget if trial.rungs else 0
        new: list[Rung] = []
        waiting: list[int] = []
        for budget in self._scheduler.rungs(trial.number)[:-1]:
            if budget <= known:
                continue
            waiting.append(budget)
            values = _reported(reports, budget, self._signs)
            if values is not None:
                new += [_rung(each, values) for each in waiting]
                waiting = []
        if not new:
            return trial
        passed = [replace(rung, promoted=True) for rung in (*trial.rungs, *new)[:-1]]
        return self.put(replace(trial, rungs=(*passed, new[-1])))

    def completed(self, trial: Trial, values: Mapping[str, float]) -> Trial:
        """A trial that succeeded: its value is that of the full budget, and of the rungs that it had no need of."""
        known = trial.rungs[-1].budget if trial.rungs else 0
        rest = [Rung(budget, dict(values)) for budget in self._scheduler.rungs(trial.number) if budget > known]
        passed = [replace(rung, promoted=True) for rung in (*trial.rungs, *rest)[:-1]]
        return replace(trial, rungs=(*passed, rest[-1])) if rest else trial

    def passed(self, trial: Trial, values: Mapping[str, float]) -> Trial:
        """A trial of which one run of several is done: it need not stop at any rung again."""
        complete = self.completed(trial, values).rungs
        return replace(trial, rungs=complete[:-1]) if len(complete) > len(trial.rungs) else trial

    def judge(self, trial: Trial) -> Verdict:
        """What becomes of a trial that has just reached its last rung."""
        if trial.rungs[-1].infeasible:
            return Verdict.STOP  # nothing can be learned from training it on, and it is never promoted
        self.put(replace(trial, recorded_state=TrialState.RUNNING))
        return self._scheduler.judge(list(self._table().values()), trial.number)

    def promotable(self, *, complete: bool) -> list[int]:
        """`complete`: no trial will be added."""
        return self._scheduler.promotable(list(self._table().values()), complete=complete)

    def hopeless(self, *, complete: bool) -> list[int]:
        return self._scheduler.hopeless(list(self._table().values()), complete=complete)

    def bracket(self, number: int) -> int:
        return self._scheduler.bracket(number)

    def put(self, trial: Trial) -> Trial:
        """What this decision makes of a trial counts for those that are judged after it."""
        if trial.role is Role.SEARCH:
            self._changed[trial.number] = trial
            if self._rows is not None:
                self._rows[trial.number] = self._row(trial)
        return trial

    def _table(self) -> dict[int, Row]:
        if self._rows is None:
            search = [trial for trial in self._trials if trial.role is Role.SEARCH]
            self._rows = {row.number: row for row in self._kept.of(search, self._row)}
            self._rows.update((number, self._row(trial)) for number, trial in self._changed.items())
        return self._rows

    def _row(self, trial: Trial) -> Row:
        if trial.result is not None:
            state = State.ENDED
        else:
            state = State.PAUSED if trial.recorded_state is TrialState.PAUSED else State.RUNNING
        if not trial.rungs:
            return Row(trial.number, state=state)
        spoilt = trial.result is not None and trial.result.infeasible
        losses = tuple([_loss(rung, self._signs, spoilt=spoilt) for rung in trial.rungs])
        return Row(trial.number, losses, tuple([rung.promoted for rung in trial.rungs]), state)


def ladder(spec: StudySpec, trials: Sequence[Trial], *, kept: Kept[Row] | None = None) -> Ladder | None:
    """None where every trial trains to its end. `kept`: what was made of the same trials before."""
    scheduler = None if spec.fidelity is None or _generations(spec) else scheduler_for(spec)
    return None if scheduler is None else Ladder(spec, scheduler, trials, Kept() if kept is None else kept)


def rung_table(
    spec: StudySpec, ladder: Ladder, trials: Sequence[Trial], *, kept: Blocks[RungLines]
) -> list[dict[str, Any]]:
    """Of each bracket and rung: how many reached it, how many went on, and the best value there."""
    first = spec.objectives[0]
    sign = -1.0 if first.goal is Goal.MAXIMIZE else 1.0
    found: RungLines = {}
    for lines in kept.of(trials, lambda block: _lines(block, ladder, first.metric, sign)):
        for key, (reached, promoted, least) in lines.items():
            known = found.get(key, _NOBODY)
            found[key] = (known[0] + reached, known[1] + promoted, min(known[2], least))
    return [
        {"bracket": bracket, "budget": budget, "reached": reached, "promoted": promoted}
        | ({"best": f"{sign * least:.6g}"} if math.isfinite(least) else {})
        for (bracket, budget), (reached, promoted, least) in sorted(found.items())[:RUNGS_SHOWN]
    ]


def _lines(trials: Iterable[Trial], ladder: Ladder, metric: str, sign: float) -> RungLines:
    found: RungLines = {}
    for trial in trials:
        if trial.role is not Role.SEARCH:
            continue
        bracket = ladder.bracket(trial.number)
        for rung in trial.rungs:
            known = found.get((bracket, rung.budget), _NOBODY)
            usable = not rung.infeasible and metric in rung.values
            least = min(known[2], sign * rung.values[metric]) if usable else known[2]
            found[bracket, rung.budget] = (known[0] + 1, known[1] + rung.promoted, least)
    return found


def _generations(spec: StudySpec) -> bool:
    """With PBT each generation of a member is a trial of its own, and needs no rungs."""
    return spec.scheduler.name is SchedulerName.PBT


def _reported(
    reports: Sequence[Report | None], budget: int, signs: Sequence[tuple[str, float]]
) -> Mapping[str, float] | None:
    """The first report's values of a rung; only those that have a word on every objective."""
    for report in reports:
        values = None if report is None else report.rungs.get(budget)
        if values is not None and all(metric in values for metric, _ in signs):
            return {metric: values[metric] for metric, _ in signs}
    return None


def _rung(budget: int, values: Mapping[str, float]) -> Rung:
    finite = {metric: value for metric, value in values.items() if math.isfinite(value)}
    return Rung(budget, finite, infeasible=len(finite) < len(values))


def _loss(rung: Rung, signs: Sequence[tuple[str, float]], *, spoilt: bool) -> Loss:
    if spoilt or rung.infeasible:
        return (math.inf,) * len(signs)
    if len(signs) == 1:  # of thousands of trials in each decision
        metric, sign = signs[0]
        return (sign * rung.values[metric] if metric in rung.values else math.inf,)
    return tuple([sign * rung.values.get(metric, math.inf * sign) for metric, sign in signs])
