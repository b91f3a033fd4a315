"""Results of earlier studies as the search can be told them: checked, mapped into this study's space, and bounded.

Where they come from (studies, tables, files, an Optuna storage) is the affair of whoever reads them. A result is used
only if it means the same here: the same metric with the same goal, and a value of every parameter that is active here,
inside its range. Nothing is guessed and nothing is moved to a bound; what is left out is counted, with the reason, for
a person to see. An earlier result is never a trial of this study: its number is negative.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning_operator.api.problem import shown
from tuning_operator.api.study import Goal, Objective, StudySpec, Summarize
from tuning_operator.search.compiling import space_of
from tuning_operator.search.constraints import violation
from tuning_operator.search.sources import Earlier, Source
from tuning_operator.search.space import Space
from tuning_operator.search.types import Observation, Parameters

MOST = 1000
"""Earlier results that are used: half of them the best, half the latest."""
_MOST_REASONS = 3
"""Of why results were left out, in a note."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a study begins with."""

    observations: tuple[Observation, ...] = ()
    notes: tuple[str, ...] = ()
    """A line for each source, and one more where there are more results than can be used."""


def learn(spec: StudySpec, sources: Sequence[Source]) -> Learned:
    """What the study may know before it begins. A source that is named twice counts once."""
    space = space_of(spec)
    found: list[Observation] = []
    notes: list[str] = []
    for source in {source.name: source for source in sources}.values():
        mismatch = _mismatch(spec, source)
        if mismatch is not None:
            notes.append(f"nothing learned from {source.name}: {mismatch}")
            continue
        used, left_out, dropped = _usable(spec, space, source)
        found += used
        notes.append(_note(spec, source, len(used), left_out, dropped))
    if sources and not found:
        notes.append("no earlier result can be used: the search starts cold")
    kept = best_and_latest(spec.objectives, found)
    if len(kept) < len(found):
        notes.append(f"of these {len(found)} the best {MOST // 2} and the latest are used, {len(kept)} in all")
    numbered = (
        Observation(index - len(kept), each.parameters, each.values, each.infeasible, each.violation)
        for index, each in enumerate(kept)
    )
    return Learned(tuple(numbered), tuple(notes))


def _mismatch(spec: StudySpec, source: Source) -> str | None:
    """Why no result of this source can mean the same here."""
    if source.problem:
        return source.problem
    if not source.results:
        return "it has no results"
    if source.objectives is None:
        return None
    goals = {objective.metric: objective.goal for objective in source.objectives}
    for objective in spec.objectives:
        goal = goals.get(objective.metric)
        if goal is not None and goal is not objective.goal:
            return f"its objective {objective.metric} is to {_verb(goal)}, here it is to {_verb(objective.goal)}"
        known = goal is not None or any(objective.metric in result.metrics for result in source.results)
        if not known:
            return f"it has no objective {objective.metric} (it has {', '.join(goals)})"
    return None


def _verb(goal: Goal) -> str:
    return goal.value.lower()


def _usable(
    spec: StudySpec, space: Space, source: Source
) -> tuple[list[Observation], Counter[str], Mapping[str, set[str]]]:
    """Results in the words of this space, why others are left out, and which parameters mean nothing here, with their
    values.
    """
    used: list[Observation] = []
    left_out: Counter[str] = Counter()
    dropped: dict[str, set[str]] = {}
    for result in source.results:
        values = None if result.infeasible else _values(spec.objectives, result)
        measured = {**result.metrics, **result.values}
        unknown = [each.metric for each in spec.constraints if each.metric not in measured and not result.infeasible]
        if isinstance(values, str):
            left_out[values] += 1
        elif unknown:
            left_out[f"no value of {unknown[0]}, which has a constraint"] += 1
        else:
            point, ignored = _point(space, result.parameters)
            if isinstance(point, str):
                left_out[point] += 1
                continue
            for name in ignored:
                dropped.setdefault(name, set()).add(shown(result.parameters[name]))
            broken = 0.0 if result.infeasible else violation(spec.constraints, measured)
            used.append(Observation(0, point, values, result.infeasible, broken))
    return used, left_out, dropped


def _values(objectives: Sequence[Objective], result: Earlier) -> tuple[float, ...] | str:
    """The objectives' values, or why there are none. What is no objective there is known by its last value only."""
    values = []
    for objective in objectives:
        value = result.values.get(objective.metric)
        if value is None and objective.summarize is Summarize.LAST:
            value = result.metrics.get(objective.metric)
        if value is None or not math.isfinite(value):
            return f"no value of {objective.metric}"
        values.append(value)
    return tuple(values)


def _point(space: Space, parameters: Parameters) -> tuple[Parameters | str, Sequence[str]]:
    """The point of this space that these parameters are (or why they are none), and the names that mean nothing here.

    A missing parameter is known where it has a single value.
    """
    given = {name: value for name, value in parameters.items() if name in space.by_name}
    for axis in space.axes:
        if axis.name not in given and axis.values.count == 1:
            given[axis.name] = axis.values.value(0)
    active = space.active(given)
    for name in active:
        axis = space.by_name[name]
        if name not in given:
            return f"no {name}", ()
        if axis.values.key(given[name]) is None:
            return f"{name} is not {axis.values.describe()}", ()
    key = space.key({name: value for name, value in given.items() if name in active})
    if key is None or not space.allowed_key(key):
        return "the study forbids it", ()
    point = space.point(key)
    return point, [name for name in parameters if name not in point]


def best_and_latest(objectives: Sequence[Objective], found: Sequence[Observation]) -> list[Observation]:
    """The best and the latest, in the order in which they came."""
    if len(found) <= MOST:
        return list(found)
    best = sorted((index for index, each in enumerate(found) if each.values is not None), key=_worth(objectives, found))
    kept = set(best[: MOST // 2])
    for index in reversed(range(len(found))):
        if len(kept) == MOST:
            break
        kept.add(index)
    return [found[index] for index in sorted(kept)]


def _worth(objectives: Sequence[Objective], found: Sequence[Observation]) -> "_Order":
    """Feasible before infeasible, then by the sum of the ranks in each objective."""
    ranks: Counter[int] = Counter()
    for at, objective in enumerate(objectives):
        sign = -1 if objective.goal is Goal.MAXIMIZE else 1
        losses = {index: sign * each.values[at] for index, each in enumerate(found) if each.values is not None}
        place = {loss: rank for rank, loss in enumerate(sorted(set(losses.values())))}
        ranks.update({index: place[loss] for index, loss in losses.items()})
    return _Order(found, ranks)


@dataclass(frozen=True, slots=True)
class _Order:
    found: Sequence[Observation]
    ranks: Mapping[int, int]

    def __call__(self, index: int) -> tuple[float, int, int]:
        return self.found[index].violation, self.ranks[index], index


def _note(spec: StudySpec, source: Source, used: int, left_out: Counter[str], dropped: Mapping[str, set[str]]) -> str:
    parts = [f"learned from {used} result{'' if used == 1 else 's'} of {source.name}"]
    if left_out:
        reasons = [f"{count}: {reason}" if len(left_out) > 1 else reason for reason, count in left_out.most_common()]
        more = [f"{len(reasons) - _MOST_REASONS} further reasons"] if len(reasons) > _MOST_REASONS else []
        parts.append(f"{left_out.total()} left out: {', '.join([*reasons[:_MOST_REASONS], *more])}")
    parts += [
        f"{name} is no active parameter here and was ignored" for name in sorted(dropped) if len(dropped[name]) == 1
    ]
    parts += [
        f"{name} had {len(dropped[name])} values there, is no active parameter here and was ignored"
        for name in sorted(dropped)
        if len(dropped[name]) > 1
    ]
    parts += _differences(spec, source)
    return "; ".join(parts)


def _differences(spec: StudySpec, source: Source) -> list[str]:
    """What makes values comparable with reservations only."""
    found = []
    there = {objective.metric: objective.summarize for objective in source.objectives or ()}
    for objective in spec.objectives:
        summarize = there.get(objective.metric)
        if summarize is not None and summarize is not objective.summarize:
            found.append(f"{objective.metric} is the {summarize} value there and the {objective.summarize} one here")
    full = spec.fidelity.max if spec.fidelity is not None else None
    if full is not None and source.full is not None and full != source.full:
        found.append(f"trained up to {source.full} there and up to {full} here")
    return found
