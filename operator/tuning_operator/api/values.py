"""Questions about parameter values, with JSON's idea of equality: `true` is not 1, and 1 is 1.0."""

import math
from collections.abc import Sequence

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import FloatRange, IntRange, Parameter
from tuning_operator.api.problem import shown

TOLERANCE = 1e-9
"""Of a float step: how far from a grid value still is that value."""


def same(one: JSONScalar, other: JSONScalar) -> bool:
    """Whether two values are one in JSON."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def among(value: JSONScalar, values: Sequence[JSONScalar]) -> bool:
    return any(same(value, each) for each in values)


def can_be(parameter: Parameter, value: JSONScalar) -> bool:
    """Whether the parameter can take the value."""
    if (values := parameter.choice or parameter.ordinal) is not None:
        return among(value, values)
    if isinstance(value, bool | str):
        return False
    if parameter.int_ is not None:
        return float(value).is_integer() and _in(parameter.int_, value, tolerance=0)
    return parameter.float_ is not None and _in(parameter.float_, value, tolerance=TOLERANCE)


def described(parameter: Parameter) -> str:
    """The values that a parameter can take, in words."""
    if (values := parameter.choice or parameter.ordinal) is not None:
        return f"one of {', '.join(map(shown, values))}"
    held = parameter.int_ or parameter.float_
    if held is None:
        return "nothing"
    kind = "a whole number" if parameter.int_ else "a number"
    steps = f" in steps of {held.step} from {held.min}" if held.step else ""
    return f"{kind} from {held.min} to {held.max}{steps}"


def count(parameter: Parameter) -> int | None:
    """How many values the parameter can take; None for all real numbers of a range."""
    if (values := parameter.choice or parameter.ordinal) is not None:
        return len(values)
    held = parameter.int_ or parameter.float_
    step = 1 if parameter.int_ and parameter.int_.step is None else held.step if held else None
    return None if held is None or step is None else math.floor((held.max - held.min) / step + TOLERANCE) + 1


def numbers(values: Sequence[JSONScalar]) -> list[float]:
    """Those of the values that are numbers."""
    return [value for value in values if not isinstance(value, bool | str)]


def lies_between(parameter: Parameter, low: float | None, high: float | None) -> bool:
    """Whether the parameter can have a value between these, both included."""
    least = -math.inf if low is None else low
    most = math.inf if high is None else high
    if parameter.ordinal is not None:
        return any(least <= value <= most for value in numbers(parameter.ordinal))
    held = parameter.int_ or parameter.float_
    if held is None:
        return False
    step = held.step or (1 if parameter.int_ else None)
    if step is None:
        return max(least, held.min) <= min(most, held.max)
    first = max(0, math.ceil((least - held.min) / step - TOLERANCE)) if least > held.min else 0
    return held.min + first * step <= min(most, held.max) * (1 + math.copysign(TOLERANCE, min(most, held.max)))


def _in(held: FloatRange | IntRange, value: float, *, tolerance: float) -> bool:
    if not held.min <= value <= held.max:
        return False
    if held.step is None:
        return True
    steps = (value - held.min) / held.step
    return abs(steps - round(steps)) <= tolerance
