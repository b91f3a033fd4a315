"""What does not change while a study runs, in the words of the search."""

import random
from dataclasses import dataclass

from tuning_operator.api.algorithm import Algorithm
from tuning_operator.api.scheduling import Fidelity, Scheduler, SchedulerName
from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.search.choice import Choice, choose
from tuning_operator.search.compiling import space_of
from tuning_operator.search.seeds import MOST_DRAWS, draw
from tuning_operator.search.space import Space
from tuning_operator.search.types import Parameters


@dataclass(frozen=True, slots=True)
class Problem:
    """The study's part of what a suggestion is made from."""

    study_uid: str
    space: Space
    goals: tuple[Goal, ...]
    choice: Choice
    algorithm: Algorithm
    """Seed, and the settings of each algorithm where the study gives any."""
    scheduler: Scheduler
    fidelity: Fidelity | None
    trials: int | None
    parallel: int
    enqueue: tuple[Parameters, ...] = ()
    """First points, in order; not all of their parameters need be given."""

    @property
    def population(self) -> bool:
        """Each generation of a population's member is a trial: its suggestions are PBT's, and points come again."""
        return self.scheduler.name is SchedulerName.PBT

    @property
    def seed(self) -> int:
        return self.algorithm.seed


def problem(spec: StudySpec, *, study_uid: str) -> Problem:
    """The search problem of a study. Raises `ValueError` with a sentence for the user."""
    space = space_of(spec)
    if not _leaves_something(space):
        raise ValueError("spec.forbidden: leaves no point of the space: loosen an expression, or widen a parameter")
    return Problem(
        study_uid=study_uid,
        space=space,
        goals=tuple(objective.goal for objective in spec.objectives),
        choice=choose(space, spec),
        algorithm=spec.algorithm,
        scheduler=spec.scheduler,
        fidelity=spec.fidelity,
        trials=spec.limits.trials,
        parallel=spec.limits.parallel,
        enqueue=tuple(spec.enqueue),
    )


def _leaves_something(space: Space) -> bool:
    """Whether any point is allowed. Where the points cannot be counted, one in some thousand random ones is asked for:
    a search finds no other either.
    """
    if not space.restricted:
        return True
    if space.size is not None:
        return space.size > 0
    rng = random.Random(0)
    keys = (space.build_key(lambda axis: draw(axis.values, rng)) for _ in range(MOST_DRAWS))
    return any(space.allowed_key(key) for key in keys)
