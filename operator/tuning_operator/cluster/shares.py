"""Who may start how much where slots are scarce: fair shares of what an administrator allows.

Slots are dealt one by one, each to the namespace that has the least, and in it to the study that has the least
(max-min fairness, by accelerators). Nothing that runs is stopped for it: a share that others still hold comes as they
end. Kept in memory alone: after a start it is worked out anew from what runs.
"""

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tuning_operator.cluster.policy import Policy
from tuning_operator.cluster.store import Key


@dataclass(frozen=True, slots=True)
class Claim:
    """What one study wants and has, in trials."""

    wanted: int
    held: int
    cost: int
    """Accelerators of a trial."""
    since: float
    """When the study was created: who came first gets what cannot be divided."""


class Shares:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._claims: dict[Key, Claim] = {}
        self._settled: dict[Key, Claim] = {}
        """Each as it was after its last decision: what it has less of now is room for the others."""
        self._dealt: tuple[dict[Key, Claim], dict[Key, int]] | None = None

    def limits(self, namespace: str) -> bool:
        """Whether anything is limited there at all."""
        rules = self._policy.of(namespace)
        return any(
            each is not None for each in (self._policy.max_accelerators, rules.max_parallel, rules.max_accelerators)
        )

    def begin(self, key: Key, claim: Claim) -> None:
        """Count what a study holds that has not been decided on yet: those decided on before it must leave it that."""
        self._claims.setdefault(key, claim)
        self._settled.setdefault(key, claim)

    def allowed(self, key: Key, claim: Claim) -> int:
        """Trials that the study may have at once now; it says so anew whenever it decides."""
        self._claims[key] = claim
        wishes = {name: replace(each, held=0) for name, each in self._claims.items()}
        if self._dealt is None or self._dealt[0] != wishes:
            self._dealt = wishes, deal(wishes, self._policy)
        return min(self._dealt[1].get(key, 0), claim.held + self._free(key, claim))

    def hold(self, key: Key, held: int, *, wanted: int) -> list[Key]:
        """What it has from now on; the studies for which that made room."""
        claim = self._claims.get(key)
        if claim is None:
            return []
        before = self._settled.get(key, claim)
        self._claims[key] = self._settled[key] = replace(claim, held=held, wanted=wanted)
        return self._waiting(key) if held < before.held or wanted < before.wanted else []

    def forget(self, key: Key) -> list[Key]:
        """The study is no more; the studies for which that made room."""
        self._settled.pop(key, None)
        return self._waiting(key) if self._claims.pop(key, None) is not None else []

    def _waiting(self, key: Key) -> list[Key]:
        return [name for name, claim in self._claims.items() if name != key and claim.held < claim.wanted]

    def _free(self, key: Key, claim: Claim) -> int:
        """Trials for which nobody holds what they need."""
        namespace = key[0]
        rules = self._policy.of(namespace)
        beside = [each for (space, _), each in self._claims.items() if space == namespace]
        rooms = []
        if rules.max_parallel is not None:
            rooms.append(rules.max_parallel - sum(each.held for each in beside))
        for most, claims in ((rules.max_accelerators, beside), (self._policy.max_accelerators, self._claims.values())):
            if most is not None and claim.cost:
                rooms.append((most - sum(each.held * each.cost for each in claims)) // claim.cost)
        return max(0, min(rooms, default=claim.wanted))


def deal(claims: Mapping[Key, Claim], policy: Policy) -> dict[Key, int]:
    """Trials of each study, by max-min fairness; what a trial costs counts at least as one."""
    dealt: dict[Key, int] = dict.fromkeys(claims, 0)
    trials: Counter[str] = Counter()
    accelerators: Counter[str] = Counter()
    weight: Counter[str] = Counter()
    total = 0
    heap = [(0, 0, claim.since, key) for key, claim in claims.items() if claim.wanted > 0]
    heapq.heapify(heap)
    while heap:
        had, own, since, key = heapq.heappop(heap)
        claim, namespace = claims[key], key[0]
        if had != weight[namespace]:
            heapq.heappush(heap, (weight[namespace], own, since, key))
            continue
        rules = policy.of(namespace)
        if (
            _over(trials[namespace] + 1, rules.max_parallel)
            or _over(accelerators[namespace] + claim.cost, rules.max_accelerators)
            or _over(total + claim.cost, policy.max_accelerators)
        ):
            continue
        dealt[key] += 1
        trials[namespace] += 1
        accelerators[namespace] += claim.cost
        total += claim.cost
        weight[namespace] += max(1, claim.cost)
        if dealt[key] < claim.wanted:
            heapq.heappush(heap, (weight[namespace], own + max(1, claim.cost), since, key))
    return dealt


def _over(value: int, most: int | None) -> bool:
    return most is not None and value > most
