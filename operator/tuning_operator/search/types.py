"""The words of the search: what it is told, and what it answers. Plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuning_operator.api.base import JSONScalar

Parameters = Mapping[str, JSONScalar]


@dataclass(frozen=True, slots=True)
class Observation:
    """One recorded trial as the search is told it.

    `values` are in the order of the study's objectives; None for a trial without usable values. `infeasible` trials
    (out of memory, diverged, invalid setting) are told as such, never as failed. Trials lost without a fault of their
    parameters are not told at all.
    """

    number: int
    parameters: Parameters
    values: tuple[float, ...] | None
    infeasible: bool = False
    violation: float = 0.0
    """How far the constraints are broken: the sum over them of the excess, in units of the bound (or 1); 0 for none."""
    generation: int | None = None
    """As its suggestion said."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Parameters for a trial, and how they came about."""

    parameters: Parameters
    by: str
    """Algorithm that made it, for example `TPE`."""
    known: int
    """How many recorded results it knew."""
    reason: str = ""
    """One line for a person: grid point 7 of 24, random start, model, ..."""
    generation: int | None = None
    """For algorithms whose state this is (genetic ones, CMA-ES, PBT): recorded on the trial and told back."""
    parent: int | None = None
    """The trial it was bred from; with PBT the one whose checkpoint it starts with."""
    expected: float | None = None
    """Improvement of the objective that the model expected, in the objective's unit."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be suggested before more results are known (PBT: every member trains)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every point of the space was suggested already."""

    reason: str
    """One line for a person."""
