"""Which algorithm a study gets, and why: what `Auto` means. Pure rules, told to the user in the status."""

from dataclasses import dataclass

from tuning_operator.api.algorithm import AlgorithmName, GPSettings, TPESettings
from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import StudySpec
from tuning_operator.search.lattice import Lattice
from tuning_operator.search.space import Space

_MOST_AXES = 30
"""Parameters up to which a Gaussian process is taken: its length scales are fitted, one for each."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An algorithm, never `Auto`, and one line why."""

    name: AlgorithmName
    reason: str
    partner: AlgorithmName | None = None
    """Makes a part of the suggestions, if there is one: two models that err in different places."""
    turn: int = 3
    """Of so many suggestions, one is the partner's."""


def choose(space: Space, spec: StudySpec) -> Choice:
    """The algorithm of a study: a function of its spec. Raises `ValueError` for one that cannot search this space."""
    if spec.scheduler.name is SchedulerName.PBT:
        return Choice(AlgorithmName.RANDOM, "the first generation is random, the later ones are bred (scheduler PBT)")
    algorithm, trials, parallel = spec.algorithm, spec.limits.trials, spec.limits.parallel
    if algorithm.name is AlgorithmName.GRID:
        grid_of(space)
    if algorithm.name is AlgorithmName.CMA_ES:
        _check_cmaes(space, len(spec.objectives))
    if algorithm.name is not AlgorithmName.AUTO:
        return Choice(algorithm.name, "chosen by the study")
    size = space.size
    # Where early values decide who trains on, the order counts though all are tried in the end.
    if size is not None and (trials is None or size <= trials) and spec.scheduler.name is SchedulerName.NONE:
        budget = "" if trials is None else f", within the limit of {trials} trials"
        return Choice(AlgorithmName.GRID, f"the space has {size} points in all{budget}")
    startup = (algorithm.tpe or TPESettings()).startup_trials
    if trials is not None and trials <= max(startup, parallel) and not spec.warm_start:
        return Choice(AlgorithmName.RANDOM, f"{trials} trials, {parallel} at once, are too few for a model")
    points = "infinitely many" if size is None else str(size)
    if spec.fidelity is not None or len(space.axes) > _MOST_AXES:
        drawn = "random" if spec.fidelity is None else "quasi-random"
        return Choice(
            AlgorithmName.TPE,
            f"the space has {points} points: a model learns from results after {startup} {drawn} ones",
        )
    most = (algorithm.gp or GPSettings()).max_trials
    objectives = len(spec.objectives)
    # On a front of two objectives over real numbers the process alone is ahead (docs/decisions/0003). An end for want
    # of improvement asks what each of the last suggestions promised; only the process says.
    alone = (objectives == 2 and size is None) or spec.limits.min_improvement is not None
    partner = None if alone else AlgorithmName.TPE
    turn, ordinal = (3, "third") if objectives == 1 else (2, "second")
    turns = "" if partner is None else f", and {partner} for every {ordinal} trial"
    later = "" if trials is not None and trials <= most else f"; beyond {most} results TPE alone"
    aims, processes = ("one objective", "a Gaussian process")
    if objectives > 1:
        aims, processes = f"{objectives} objectives", "a Gaussian process for each"
    return Choice(
        AlgorithmName.GP,
        f"{aims} over {len(space.axes)} parameters, {points} points: {processes}{turns}{later}",
        partner,
        turn,
    )


def grid_of(space: Space) -> Lattice:
    """The points of a finite space; else a `ValueError` that names what makes it infinite."""
    if space.lattice is not None:
        return space.lattice
    if not space.infinite:
        raise ValueError("algorithm.name: Grid: the conditions (`when`) are too entangled to count: use Random or TPE")
    name = space.infinite[0]
    described = space.by_name[name].values.describe()
    raise ValueError(
        f"algorithm.name: Grid: parameter {name} is {described}, infinitely many: "
        "give it a `step` or make it a `choice`, or use Random or TPE"
    )


def _check_cmaes(space: Space, objectives: int) -> None:
    if objectives > 1:
        raise ValueError(
            f"algorithm.name: CMAES: it searches for one objective, this study has {objectives}: "
            "write NSGAII, TPE or Auto, or leave one objective"
        )
    if not any(axis.values.ordered and axis.values.count != 1 for axis in space.axes):
        raise ValueError(
            "algorithm.name: CMAES: it needs a `float`, `int` or `ordinal` parameter with more than one value, "
            "and all of these are choices: write Evolution, TPE or Auto"
        )
