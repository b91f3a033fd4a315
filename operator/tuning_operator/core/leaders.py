"""The best trials so far: of those that came furthest, the ones that no other beats in every objective.

A value at a higher budget counts before any at a lower one: a trial that was promoted was among the best where the
others stopped, and values of different budgets cannot be compared. A trial that ended by itself came further than any
rung. With one objective the front is the best trial; of equal ones the lowest number, whichever ended first.
"""

import copy
import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import le

from tuning_operator.api.study import Goal, Objective
from tuning_operator.core.model import Trial
from tuning_operator.search.pareto import fronts, knee

FULL = math.inf
"""The budget of a trial that ended by itself."""

Losses = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Leader:
    """A trial with the values that count."""

    trial: Trial
    values: Mapping[str, float]


class Leaders:
    """Offered one trial after the other; a trial may be offered again when it came further."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._signed = [(each.metric, -1.0 if each.goal is Goal.MAXIMIZE else 1.0) for each in objectives]
        weights = [each.weight for each in objectives]
        self._weights = [weight for weight in weights if weight is not None] if None not in weights else None
        self._budget = 0.0
        self._front: list[tuple[Losses, int, Leader]] = []
        """By the first loss, then the others, then the number."""
        self._level: list[tuple[Losses, int, Trial, Mapping[str, float]]] = []
        """Everyone at the highest budget, in the order of their offers."""

    def offer(self, trial: Trial, values: Mapping[str, float], *, budget: float = FULL) -> bool:
        """Whether it is a better best, or a new member of the front."""
        if budget < self._budget:
            return False
        losses = self._losses(values)
        if losses is None:
            return False
        if budget > self._budget:
            self._budget, self._front, self._level = budget, [], []
        self._level.append((losses, trial.number, trial, values))
        # Most are worse than the first of the front, or the last: these two are looked at before all.
        front = self._front
        if front and (_beats(front[0][0], losses) or _beats(front[-1][0], losses)):
            return False
        return self._join((losses, trial.number, Leader(trial, values)))

    def copy(self) -> "Leaders":
        other = copy.copy(self)
        other._front, other._level = list(self._front), list(self._level)
        return other

    @property
    def budget(self) -> float:
        """How far the best came; who is offered with less stays behind them."""
        return self._budget

    @property
    def front(self) -> list[Leader]:
        """Best by the first objective first."""
        return [leader for _, _, leader in self._front]

    @property
    def best(self) -> Leader | None:
        """The one to name: with several objectives the front's knee, or what the weights of the objectives say."""
        if len(self._front) <= 1:
            return self._front[0][2] if self._front else None
        return self._front[self._named([losses for losses, _, _ in self._front])][2]

    def top(self, count: int) -> list[Leader]:
        """The best trials, the best one first: front by front, and within one as the best is named."""
        order = sorted(self._level, key=lambda each: each[:2])
        if len(self._signed) == 1:
            return [Leader(trial, values) for _, _, trial, values in order[:count]]
        found: list[Leader] = []
        for front in fronts([entry[0] for entry in order]):
            members = list(front)
            while members and len(found) < count:
                chosen = self._named([order[index][0] for index in members])
                found.append(Leader(*order[members.pop(chosen)][2:]))
        return found

    def _losses(self, values: Mapping[str, float]) -> Losses | None:
        try:
            return tuple([sign * values[metric] for metric, sign in self._signed])
        except KeyError:
            return None

    def _join(self, entry: tuple[Losses, int, Leader]) -> bool:
        losses = entry[0]
        for index, (other, number, _) in enumerate(self._front):
            if other == losses:
                if entry[1] < number:
                    self._front[index] = entry
                return False
            if _beats(other, losses):
                return False
        self._front = [each for each in self._front if not _beats(losses, each[0])]
        insort(self._front, entry, key=lambda each: each[:2])
        return True

    def _named(self, losses: Sequence[Losses]) -> int:
        return knee(losses, self._weights)


def _beats(one: Losses, other: Losses) -> bool:
    """No worse in anything, and not the same."""
    return one != other and all(map(le, one, other))
