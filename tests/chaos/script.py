"""Which fault comes when: a pure function of the seed.

Faults are dealt like cards, deck after deck, so that each kind comes, in an order that nobody planned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

KILLS = {
    "kill the leader": 3,
    "kill the standby": 1,
    "kill both operators": 1,
    "kill the API server": 2,
    "kill etcd": 2,
    "kill the API server and compact": 1,
}
"""Kinds that end processes by SIGKILL, with how often they are in a deck."""
OTHERS = {
    "kill the controllers": 1,
    "freeze the leader": 1,
    "freeze the leader for longer than its lease": 1,
    "freeze the API server": 1,
    "freeze etcd": 1,
    "cut all watches": 1,
    "cut off the leader": 1,
    "delete a Job": 2,
    "delete a pod": 1,
    "delete a pod at once": 1,
    "delete a trial": 1,
    "delete a study and make it again": 1,
    "edit a status": 1,
    "edit limits": 1,
    "suspend a study": 1,
}
LONG = ("freeze the leader for longer than its lease", "cut off the leader")
"""These last for longer than a lease."""


@dataclass(frozen=True)
class Fault:
    kind: str
    seconds: float
    """How long it lasts."""
    pause: float
    """How long it is quiet after it."""
    pick: float
    """In [0, 1): which of the objects there are."""

    def __str__(self) -> str:
        return f"{self.kind} ({self.seconds:.1f} s, then quiet for {self.pause:.1f} s)"


def script(seed: int, *, lease: float, short: bool = False) -> Iterator[Fault]:
    """Without end. `short`: each kind once a deck, and little quiet between them."""
    rng = random.Random(seed)
    while True:
        deck = [kind for kind, count in (KILLS | OTHERS).items() for _ in range(1 if short else count)]
        rng.shuffle(deck)
        for kind in deck:
            yield _fault(rng, kind, lease, short)


def _fault(rng: random.Random, kind: str, lease: float, short: bool) -> Fault:
    seconds = rng.choice([0.0, rng.uniform(0.2, 1.0), rng.uniform(1.0, 4.0)])
    if kind in LONG:
        seconds = lease + rng.uniform(0.5, 3.0)
    elif kind.startswith(("freeze", "suspend")):
        seconds = rng.uniform(0.5, 3.0)
    pause = rng.uniform(0.1, 0.6) if short else rng.choice([rng.uniform(0.1, 1.0), rng.uniform(1.0, 6.0)])
    return Fault(kind, min(seconds, 1.0) if short and kind not in LONG else seconds, pause, rng.random())
