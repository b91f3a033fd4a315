"""The study's first points (`spec.enqueue`): trial n tries the n-th of them, whatever the algorithm."""

import random
from itertools import islice

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.search.ask import Ask
from tuning_operator.search.dimension import Key
from tuning_operator.search.random_search import random_point
from tuning_operator.search.seeds import draw
from tuning_operator.search.space import Axis, PointKey
from tuning_operator.search.types import Parameters, Suggestion

BY = "Enqueued"

_DRAWS = 1_000
"""Of what is left open, until a point is allowed."""


def propose(ask: Ask) -> Suggestion | None:
    """The point that the study wants for this trial, completed at random; None behind the last of them."""
    if ask.number >= len(ask.problem.enqueue):
        return None
    given = ask.problem.enqueue[ask.number]
    reason = f"first point {ask.number + 1} of {len(ask.problem.enqueue)}"
    key = _completed(ask, given)
    if key is None:
        point = random_point(ask)
        reason += ": forbidden whatever is drawn for the rest, so random"
    else:
        point = ask.space.point(key)
        drawn = [ask.space.axes[index].name for index, _ in key if ask.space.axes[index].name not in given]
        reason += f"; drawn: {', '.join(drawn)}" if drawn else ""
    generation = 0 if ask.problem.scheduler.name is SchedulerName.PBT else None
    return Suggestion(point, by=BY, known=ask.known.results, reason=reason[:256], generation=generation)


def _completed(ask: Ask, given: Parameters) -> PointKey | None:
    rng = random.Random(ask.seed("enqueued"))

    def choose(axis: Axis) -> Key:
        key = axis.values.key(given[axis.name]) if axis.name in given else None
        return draw(axis.values, rng) if key is None else key

    keys = (ask.space.build_key(choose) for _ in iter(int, 1))
    return next((key for key in islice(keys, _DRAWS) if ask.space.allowed_key(key)), None)
