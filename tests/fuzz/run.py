"""Many cases, each from a seed of its own: what became of them, and which were answered wrongly."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.fuzz import bodies, objects, studies

Subject = Callable[[random.Random], Iterator[str]]
SUBJECTS: Mapping[str, Subject] = {"studies": studies.one, "objects": objects.one, "bodies": bodies.one}
WORDS = {"accepted", "refused", "empty", "acted", "waited"}
"""What may become of a case; everything else that a subject says is a complaint."""


@dataclass
class Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


def case(name: str, seed: int) -> Iterator[str]:
    """What is said of one case. A crash is said too."""
    try:
        yield from SUBJECTS[name](random.Random(f"{name}-{seed}"))
    except Exception:
        yield "crash\n" + traceback.format_exc()


def cases(name: str, seeds: range, tally: Tally) -> None:
    for seed in seeds:
        for word in case(name, seed):
            if word in WORDS:
                tally.outcomes[word] += 1
            else:
                tally.complaints.append(f"python -m tests.fuzz {name} --first {seed} --cases 1\n  {word}")
