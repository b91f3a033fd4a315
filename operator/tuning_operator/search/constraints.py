"""How far a trial breaks the study's constraints: one number, so that infeasible trials can be told apart. Pure."""

from collections.abc import Mapping, Sequence

from tuning_operator.api.study import Constraint


def violation(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> float:
    """How far constraints are broken: the excess over each bound in units of it (of 1 where it is 0), added up; 1 for
    each that cannot be checked. 0 where all hold.
    """
    total = 0.0
    for constraint in constraints:
        value = metrics.get(constraint.metric)
        if value is None:
            total += 1.0
            continue
        for bound, excess in ((constraint.max, 1.0), (constraint.min, -1.0)):
            if bound is not None:
                total += max(0.0, excess * (value - bound)) / (abs(bound) or 1.0)
    return total
