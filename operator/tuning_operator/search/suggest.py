"""The one way to a suggestion: a pure function of the study and what is recorded of it.

The same inputs give the same parameters in any process, so a restart continues as if nothing had happened. What a
caller may keep between calls (`Known`) makes it faster and never different.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuning_operator.api.algorithm import AlgorithmName, TPESettings
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.search.choice import Choice, choose, grid_of
from tuning_operator.search.known import Known, Seen
from tuning_operator.search.seeds import draw, seed_of
from tuning_operator.search.space import Space, compile_space
from tuning_operator.search.types import Exhausted, Observation, Parameters, Suggestion

_RANDOM_DRAWS = 64
"""Random draws that may hit a point seen before, until one of the unseen is taken by index."""
_MODEL_DRAWS = 4
"""The same for the model, until a random one is taken."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not change while a study runs, in the words of the search."""

    study_uid: str
    space: Space
    goals: tuple[Goal, ...]
    choice: Choice
    seed: int = 0
    tpe: TPESettings = field(default_factory=TPESettings)


def problem(spec: StudySpec, *, study_uid: str) -> Problem:
    """The search problem of a study. Raises `ValueError` with a sentence for the user."""
    space = compile_space(spec.parameters)
    return Problem(
        study_uid=study_uid,
        space=space,
        goals=tuple(objective.goal for objective in spec.objectives),
        choice=choose(space, spec.algorithm, trials=spec.limits.trials, parallel=spec.limits.parallel),
        seed=spec.algorithm.seed,
        tpe=spec.algorithm.tpe or TPESettings(),
    )


def suggest(
    problem: Problem,
    *,
    history: Sequence[Observation],
    running: Mapping[int, Parameters],
    number: int,
    known: Known | None = None,
) -> Suggestion | Exhausted:
    """Parameters for the trial `number`.

    `history` are the recorded results, `running` the parameters of the trials that have none yet: those that run, and
    those suggested already that will. `known` may be kept by the caller for the next call on the same problem.
    """
    known = known or Known(problem.space)
    known.learn(history)
    seen = known.seen(running)
    size = problem.space.size
    if size is not None and len(seen) >= size:
        return Exhausted(f"all {size} points of the space were suggested")
    if problem.choice.name is AlgorithmName.GRID:
        return _grid(problem, known, seen, number)
    useful = sum(point.useful for point in known.points)
    if problem.choice.name is AlgorithmName.TPE and useful >= problem.tpe.startup_trials:
        return _model(problem, known, seen, running, number=number, useful=useful)
    parameters = _random(problem, seen, number)
    reason = "random"
    if problem.choice.name is AlgorithmName.TPE:
        reason = f"random start: {useful} of {problem.tpe.startup_trials} results known"
    return Suggestion(parameters, by=AlgorithmName.RANDOM.value, known=known.results, reason=reason)


def warm_up(problem: Problem) -> None:
    """Load what the first model will need, before it is needed; 0.3 s CPU once, nothing afterwards."""
    if problem.choice.name is AlgorithmName.TPE:
        import tuning_operator.search.tpe  # noqa: F401


def _grid(problem: Problem, known: Known, seen: Seen, number: int) -> Suggestion:
    lattice = grid_of(problem.space)
    size = lattice.size
    index = number % size
    while (key := tuple(lattice.keys(index).items())) in seen:
        index = (index + 1) % size
    parameters = problem.space.point(key)
    reason = f"grid point {index + 1} of {size}"
    return Suggestion(parameters, by=AlgorithmName.GRID.value, known=known.results, reason=reason)


def _random(problem: Problem, seen: Seen, number: int) -> dict[str, JSONScalar]:
    rng = random.Random(seed_of(problem.seed, problem.study_uid, number, "random"))

    def point() -> dict[str, JSONScalar]:
        return problem.space.build(lambda axis: draw(axis.values, rng))

    drawn = [point()]
    while problem.space.key(drawn[-1]) in seen and len(drawn) < _RANDOM_DRAWS:
        drawn.append(point())
    if problem.space.key(drawn[-1]) not in seen:
        return drawn[-1]
    # Only an infinite space may repeat a point in the end: a branch of it may be finite, and drawn almost always.
    return _any_unseen(problem.space, seen, rng) or drawn[-1]


def _any_unseen(space: Space, seen: Seen, rng: random.Random) -> dict[str, JSONScalar] | None:
    """One of the points not seen before, evenly; None in an infinite space."""
    if space.lattice is None:
        return None
    indices = seen.indices(space)
    index = rng.randrange(space.lattice.size - len(indices))
    for taken in indices:  # the index-th of those not taken
        if taken > index:
            break
        index += 1
    return space.point(tuple(space.lattice.keys(index).items()))


def _model(
    problem: Problem, known: Known, seen: Seen, running: Mapping[int, Parameters], *, number: int, useful: int
) -> Suggestion:
    from tuning_operator.search.tpe import Model  # Optuna is loaded when the first model is needed

    model = Model(
        problem.space,
        problem.goals,
        known,
        running,
        number=number,
        settings=problem.tpe,
        seed=seed_of(problem.seed, problem.study_uid, number, "tpe"),
    )
    for _ in range(_MODEL_DRAWS):
        parameters = model.point()
        if parameters is not None and problem.space.key(parameters) not in seen:
            reason = f"model of {useful} results"
            return Suggestion(parameters, by=AlgorithmName.TPE.value, known=known.results, reason=reason)
    reason = f"random: the model of {useful} results proposes nothing new"
    return Suggestion(_random(problem, seen, number), by=AlgorithmName.RANDOM.value, known=known.results, reason=reason)
