"""Confirmation: the best trials are run again with fresh seeds before `best` is declared.

The best of many noisy values is partly luck (the winner's curse), so what chose a trial must not also judge it: only
the further runs count, and of the top trials the one with the best mean over them is named. Like a final run, the first
further run closes the search for good.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuning_operator.api.study import Objective, StudySpec
from tuning_operator.api.trial import TrialState
from tuning_operator.core.leaders import Leader, Leaders
from tuning_operator.core.model import Trial
from tuning_operator.search.types import Suggestion


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One of the top trials and what its further runs came to."""

    leader: Leader
    runs: int
    """Further runs that ended well."""
    values: Mapping[str, float]
    """Mean of each objective over them; empty without one."""
    errors: Mapping[str, float]
    """Standard error of each mean; empty with fewer than two."""


def wanted(spec: StudySpec) -> bool:
    return spec.final is not None and spec.final.confirm is not None


def missing(spec: StudySpec, leaders: Leaders, further: Sequence[Trial], *, known: int) -> list[Suggestion]:
    """The further runs that are still to be created, in their order: each trial's first run before any second one."""
    confirm = spec.final.confirm if spec.final is not None else None
    if confirm is None:
        return []
    top = leaders.top(confirm.top)
    wanted_runs = [(run, leader) for run in range(confirm.runs) for leader in top]
    return [
        Suggestion(
            leader.trial.suggestion.parameters,
            by="Confirm",
            known=known,
            reason=f"run {run + 1} of {confirm.runs} of trial {leader.trial.number}",
            generation=run,
            parent=leader.trial.number,
        )
        for run, leader in wanted_runs[len(further) :]
    ]


def confirmed(spec: StudySpec, leaders: Leaders, further: Iterable[Trial]) -> list[Confirmed]:
    """What is known of the top trials, the best by the search first; empty where nothing was confirmed yet."""
    by_parent: dict[int, list[Mapping[str, float]]] = {}
    for trial in further:
        runs = by_parent.setdefault(trial.suggestion.parent if trial.suggestion.parent is not None else -1, [])
        result = trial.result
        if result is not None and result.state is TrialState.SUCCEEDED and not result.infeasible:
            runs.append(result.values)
    confirm = spec.final.confirm if spec.final is not None else None
    if confirm is None or not by_parent:
        return []
    return [
        _summary(leader, by_parent.get(leader.trial.number, []), spec.objectives) for leader in leaders.top(confirm.top)
    ]


def best(spec: StudySpec, found: Sequence[Confirmed]) -> Confirmed | None:
    """The one with the best means; None as long as no further run ended well."""
    judged = Leaders(spec.objectives)
    for each in found:
        if each.runs:
            judged.offer(each.leader.trial, each.values)
    named = judged.best
    return None if named is None else next(each for each in found if each.leader.trial is named.trial)


def champion(spec: StudySpec, leaders: Leaders, further: Iterable[Trial]) -> Leader | None:
    """The best trial: by its further runs where there are any, else by the search."""
    found = best(spec, confirmed(spec, leaders, further))
    return leaders.best if found is None else found.leader


def _summary(leader: Leader, runs: Sequence[Mapping[str, float]], objectives: Sequence[Objective]) -> Confirmed:
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    for objective in objectives:
        seen = [run[objective.metric] for run in runs if objective.metric in run]
        if seen:
            mean = values[objective.metric] = math.fsum(seen) / len(seen)
            if len(seen) > 1:
                variance = math.fsum((value - mean) ** 2 for value in seen) / (len(seen) - 1)
                errors[objective.metric] = math.sqrt(variance / len(seen))
    return Confirmed(leader, len(runs), values, errors)
