"""Rungs and brackets by whole numbers: a logarithm of floats is off by one where budgets are exact powers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KEPT: Final = 20_000
"""Trials whose bracket schedulers keep, so as not to reckon it anew in each decision."""


def ladder(least: int, full: int, reduction: int) -> tuple[int, ...]:
    """Budgets `least * reduction**k` up to the largest k with which they stay within `full`; the last one is `full`."""
    budgets = [least]
    while budgets[-1] * reduction <= full:
        budgets.append(budgets[-1] * reduction)
    budgets[-1] = full
    return tuple(budgets)


@dataclass(frozen=True, slots=True)
class Bracket:
    """So many trials begin at the first of these budgets."""

    trials: int
    budgets: tuple[int, ...]


def brackets(least: int, full: int, reduction: int, *, most: int | None = None) -> tuple[Bracket, ...]:
    """The brackets of Hyperband (Li et al., 2018, algorithm 1), the most aggressive first; at most `most` of them.

    Bracket s begins `ceil((s_max + 1) / (s + 1) * eta**s)` trials at `full / eta**s`.
    """
    rungs = ladder(least, full, reduction)
    top = len(rungs) - 1
    found = []
    for s in range(top, -1, -1):
        trials = -(-(top + 1) * reduction**s // (s + 1))
        found.append(Bracket(trials, rungs[top - s :]))
    return tuple(found[:most])


def turn(number: int, shares: Sequence[int]) -> int:
    """Whose turn it is if turns are dealt in these shares, as evenly as can be and exactly in each round of their sum.

    Each share in turn takes every so-manieth of what those before it have left. Nothing is counted through: a round of
    2**31 trials costs no more than a small one.
    """
    total = sum(shares)
    place = number % total
    for index, share in enumerate(shares):
        had = -(-place * share // total)
        if -(-(place + 1) * share // total) > had:
            return index
        place -= had
        total -= share
    raise AssertionError("the last share takes what is left")
