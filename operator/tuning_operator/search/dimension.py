"""One dimension of a search space: its values, exactly.

A value is either an index into a finite list or a real number of a range. Finite ones are counted and reached by
index, so that a grid, a random draw and a model all give the same bits for the same point: `min + k * step` is
computed in decimal, as a person would write it. Nothing here knows other dimensions.

Every dimension also is a piece of [0, 1], evenly by what is expected of it: through the distribution where there is a
prior, through the logarithm on a log scale; a finite value is a half-open cell of its own, and stands at its middle.
Whoever draws, fills or models evenly does so there.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import FloatRange, IntRange, Parameter, Scale
from tuning_operator.search.prior import Normal

Key = int | float
"""What tells the values of one dimension apart: the index of a finite value, a continuous value itself."""

Ranges = tuple[tuple[Key, Key], ...]
"""Keys that belong together: neighbours from a first to a last one."""

_STEP_SLACK = 1e-6
"""How far, in steps, a value that somebody else rounded may lie from the grid."""


@dataclass(frozen=True, slots=True)
class RealDimension:
    """Every real number from `low` to `high`."""

    low: float
    high: float
    log: bool
    prior: Normal | None = None
    count: None = None
    ordered: Literal[True] = True

    def key(self, value: JSONScalar) -> float | None:
        """The value as a float of the range; None if it is none."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return None
        return float(value)

    def value(self, key: Key) -> float:
        return min(max(float(key), self.low), self.high)

    def between(self, low: float, high: float) -> Ranges:
        """The keys of the values from `low` to `high`, as ranges with both ends included."""
        return _range(max(low, self.low), min(high, self.high))

    def unit(self, key: Key) -> float:
        """Where the value lies in [0, 1]."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        x = min(max(self._scaled(self.value(key)), low), high)
        if self.prior is not None:
            return self.prior.share(x, low, high)
        # Halves, since the width of a range of the largest numbers is none; but those of the smallest are.
        half = high / 2 - low / 2
        return min((x / 2 - low / 2) / half, 1.0) if half > 0 else float(x > low)

    def from_unit(self, unit: float) -> float:
        """The value there; the inverse of `unit` but for rounding."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        unit = min(max(unit, 0.0), 1.0)
        x = low * (1 - unit) + high * unit if self.prior is None else self.prior.at(unit, low, high)
        return self.value(math.exp(x) if self.log else x)

    def describe(self) -> str:
        return f"a number from {self.low} to {self.high}"

    def _scaled(self, x: float) -> float:
        return math.log(x) if self.log else x


@dataclass(frozen=True, slots=True)
class StepDimension:
    """`(low + k * step) / scale` for k = 0 ... count - 1: all whole numbers, so exact."""

    low: int
    step: int
    scale: int
    count: int
    log: bool
    whole: bool
    ordered: Literal[True] = True

    def key(self, value: JSONScalar) -> int | None:
        if isinstance(value, bool | str) or not math.isfinite(value) or (self.whole and value != int(value)):
            return None
        if isinstance(value, int):
            near, rest = divmod(value * self.scale - self.low, self.step)
            if not rest:
                return near if 0 <= near < self.count else None
        near = round((Fraction(value) * self.scale - self.low) / self.step)
        if not 0 <= near < self.count:
            return None
        exact = value == self.value(near)
        close = not self.whole and abs(self.value(near) - value) <= _STEP_SLACK * (self.step / self.scale)
        return near if exact or close else None

    def between(self, low: float, high: float) -> Ranges:
        first = bisect_left(range(self.count), low, key=self.value)
        return _range(first, bisect_right(range(self.count), high, key=self.value) - 1)

    def value(self, key: Key) -> int | float:
        number = self.low + int(key) * self.step
        return number // self.scale if self.whole else number / self.scale

    def unit(self, key: Key) -> float:
        """The middle of the value's cell. On a log scale a number n has the width from n - 1/2 to n + 1/2."""
        if not self.log:
            return _middle(int(key), self.count)
        edges = [self._log_share(int(key) - 0.5), self._log_share(int(key) + 0.5)]
        return (edges[0] + edges[1]) / 2

    def from_unit(self, unit: float) -> int:
        if not self.log:
            return _cell(unit, self.count)
        low, high = (math.log(self._bare(edge)) for edge in (-0.5, self.count - 0.5))
        drawn = math.exp(low * (1 - unit) + high * unit)
        near = round((drawn * self.scale - self.low) / self.step)
        return min(max(near, 0), self.count - 1)

    def describe(self) -> str:
        if self.count == 1:
            return f"{self.value(0)}"
        kind = (
            "a whole number" if self.whole and self.step == 1 else f"a multiple of the step {self.step / self.scale:g}"
        )
        return f"{kind} from {self.value(0)} to {self.value(self.count - 1)}"

    def _bare(self, index: float) -> float:
        return (self.low + index * self.step) / self.scale

    def _log_share(self, index: float) -> float:
        low, high = self._bare(-0.5), self._bare(self.count - 0.5)
        return math.log(self._bare(index) / low) / math.log(high / low)


@dataclass(frozen=True, slots=True)
class ChoiceDimension:
    """A list of JSON scalars; 1, 1.0, true and "1" are four values. With `ordered` their order means something."""

    choices: tuple[JSONScalar, ...]
    ordered: bool = False
    log: Literal[False] = False

    @property
    def count(self) -> int:
        return len(self.choices)

    def key(self, value: JSONScalar) -> int | None:
        for index, choice in enumerate(self.choices):
            if type(choice) is type(value) and choice == value:
                return index
        # An API server writes 1.0 as 1: take a number for the equal one of the other kind.
        if isinstance(value, int | float) and not isinstance(value, bool):
            for index, choice in enumerate(self.choices):
                if isinstance(choice, int | float) and not isinstance(choice, bool) and choice == value:
                    return index
        return None

    def value(self, key: Key) -> JSONScalar:
        return self.choices[int(key)]

    def between(self, low: float, high: float) -> Ranges:
        """Of the numbers among them; text and truth values lie nowhere."""
        return tuple(
            (index, index)
            for index, value in enumerate(self.choices)
            if not isinstance(value, bool | str) and low <= value <= high
        )

    def unit(self, key: Key) -> float:
        """The middle of the value's cell."""
        return _middle(int(key), self.count)

    def from_unit(self, unit: float) -> int:
        return _cell(unit, self.count)

    def describe(self) -> str:
        shown = ", ".join(repr(choice) for choice in self.choices[:8])
        return f"one of {shown}" + (", ..." if self.count > 8 else "")


Dimension = RealDimension | StepDimension | ChoiceDimension


def dimension(parameter: Parameter) -> Dimension:
    """The values of an API parameter."""
    if parameter.float_ is not None:
        return _of_float(parameter.name, parameter.float_)
    if parameter.int_ is not None:
        return _of_int(parameter.name, parameter.int_)
    if parameter.choice:
        return ChoiceDimension(tuple(parameter.choice))
    if parameter.ordinal:
        return ChoiceDimension(tuple(parameter.ordinal), ordered=True)
    raise ValueError(
        f"parameter {parameter.name}: has no values: give it one of `float`, `int`, `choice` and `ordinal`"
    )


def _of_float(name: str, given: FloatRange) -> Dimension:
    _check_range(name, given.min, given.max, log=given.scale is Scale.LOG, smallest="more than 0")
    if given.min == given.max:
        return _steps(given.min, given.max, step=1.0)
    if given.step is None:
        log = given.scale is Scale.LOG
        prior = None
        if given.prior is not None:
            mean = math.log(given.prior.mean) if log else given.prior.mean
            prior = Normal(mean, given.prior.deviation)
        return RealDimension(float(given.min), float(given.max), log, prior)
    return _steps(given.min, given.max, step=given.step)


def _of_int(name: str, given: IntRange) -> Dimension:
    _check_range(name, given.min, given.max, log=given.scale is Scale.LOG, smallest="1 or more")
    step = given.step or 1
    count = (given.max - given.min) // step + 1
    return StepDimension(given.min, step, 1, count, log=given.scale is Scale.LOG, whole=True)


def _range(low: Key, high: Key) -> Ranges:
    return ((low, high),) if low <= high else ()


def _middle(index: int, count: int) -> float:
    return (index + 0.5) / count


def _cell(unit: float, count: int) -> int:
    return min(max(int(unit * count), 0), count - 1)


def _steps(low: float, high: float, *, step: float) -> StepDimension:
    """The grid in whole multiples of the last decimal place that any of the numbers has."""
    numbers = [Decimal(repr(float(number))) for number in (low, high, step)]
    places = max(0, *(-int(number.as_tuple().exponent) for number in numbers))
    scale: int = 10**places
    first, last, width = (int(number.scaleb(places)) if places else int(number) for number in numbers)
    return StepDimension(first, width, scale, (last - first) // width + 1, log=False, whole=False)


def _check_range(name: str, low: float, high: float, *, log: bool, smallest: str) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"parameter {name}: the range from {low} to {high} is empty: write min <= max, both finite")
    if log and low <= 0:
        raise ValueError(f"parameter {name}: scale Log with min {low}: min must be {smallest}")
