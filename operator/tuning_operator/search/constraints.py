"""How far a trial breaks the study's constraints: one number, so that infeasible trials can be told apart. Pure."""

import math
from collections.abc import Mapping, Sequence

from tuning_operator.api.study import Constraint


def violation(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> float | None:
    """The sum over the constraints of what is above or below the bound, in units of the bound (of 1 for a bound of 0);
    0 where all hold. None where a metric is missing or no finite number, so that nobody can say.
    """
    total = 0.0
    for constraint in constraints:
        value = metrics.get(constraint.metric)
        if value is None or not math.isfinite(value):
            return None
        if constraint.max is not None:
            total += max(0.0, value - constraint.max) / (abs(constraint.max) or 1.0)
        if constraint.min is not None:
            total += max(0.0, constraint.min - value) / (abs(constraint.min) or 1.0)
    return total
