"""How much of objective space the search covers after 100 trials, against Optuna's samplers for several objectives.

    python -m tests.bench.search.multi_objective --seeds 8

ZDT1-4 and 6 (Zitzler et al., 2000) with two objectives, DTLZ1, 2 and 7 (Deb et al., 2005) with three, in their usual
sizes. The figure is the hypervolume of all trials' values, as a share of the box between the ideal point of the
problem and the worst values of 1,000 random points. Higher is better; methods are told values one at a time.
`compression` is validation error and size of networks on the digits that were really trained, pruned and rounded
(`tests/bench/search/compressed.py`), over five whole numbers.
"""

import argparse
import math
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import optuna

from tests.bench.search import compressed
from tuning_operator.api.study import StudySpec
from tuning_operator.search.known import Known
from tuning_operator.search.pareto import hypervolume
from tuning_operator.search.problem import problem
from tuning_operator.search.suggest import suggest
from tuning_operator.search.types import Observation, Suggestion

optuna.logging.set_verbosity(optuna.logging.ERROR)

Values = tuple[float, ...]


@dataclass(frozen=True)
class Task:
    dimensions: int
    objectives: int
    values: Callable[[Sequence[float]], Values]
    ideal: Values
    levels: tuple[int, ...] = ()
    """How many whole numbers, from 0, each parameter has; empty: all are from 0 to 1."""

    def point(self, rng: random.Random) -> list[float]:
        """One at random."""
        return [rng.randrange(each) for each in self.levels] or [rng.random() for _ in range(self.dimensions)]

    def parameters(self) -> list[dict[str, object]]:
        """As a study has them."""
        if self.levels:
            return [{"name": f"x{i}", "int": {"min": 0, "max": each - 1}} for i, each in enumerate(self.levels)]
        return [{"name": f"x{i}", "float": {"min": 0, "max": 1}} for i in range(self.dimensions)]

    def ask(self, trial: optuna.Trial) -> list[float]:
        """As Optuna has them."""
        if self.levels:
            return [trial.suggest_int(f"x{i}", 0, each - 1) for i, each in enumerate(self.levels)]
        return [trial.suggest_float(f"x{i}", 0, 1) for i in range(self.dimensions)]


def zdt1(x: Sequence[float]) -> Values:
    g = 1 + 9 * math.fsum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g))


def zdt2(x: Sequence[float]) -> Values:
    g = 1 + 9 * math.fsum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - (x[0] / g) ** 2)


def zdt3(x: Sequence[float]) -> Values:
    g = 1 + 9 * math.fsum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g) - x[0] / g * math.sin(10 * math.pi * x[0]))


def zdt4(x: Sequence[float]) -> Values:
    moved = [10 * each - 5 for each in x[1:]]
    g = 1 + 10 * len(moved) + math.fsum(each**2 - 10 * math.cos(4 * math.pi * each) for each in moved)
    return x[0], g * (1 - math.sqrt(x[0] / g))


def zdt6(x: Sequence[float]) -> Values:
    first = 1 - math.exp(-4 * x[0]) * math.sin(6 * math.pi * x[0]) ** 6
    g = 1 + 9 * (math.fsum(x[1:]) / (len(x) - 1)) ** 0.25
    return first, g * (1 - (first / g) ** 2)


def dtlz1(x: Sequence[float]) -> Values:
    tail = x[2:]
    g = 100 * (len(tail) + math.fsum((each - 0.5) ** 2 - math.cos(20 * math.pi * (each - 0.5)) for each in tail))
    return 0.5 * x[0] * x[1] * (1 + g), 0.5 * x[0] * (1 - x[1]) * (1 + g), 0.5 * (1 - x[0]) * (1 + g)


def dtlz2(x: Sequence[float]) -> Values:
    g = math.fsum((each - 0.5) ** 2 for each in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return (1 + g) * math.cos(a) * math.cos(b), (1 + g) * math.cos(a) * math.sin(b), (1 + g) * math.sin(a)


def dtlz7(x: Sequence[float]) -> Values:
    g = 1 + 9 * math.fsum(x[2:]) / (len(x) - 2)
    h = 3 - math.fsum(each / (1 + g) * (1 + math.sin(3 * math.pi * each)) for each in x[:2])
    return x[0], x[1], (1 + g) * h


LEVELS = tuple(map(len, compressed.GRID.values()))
TASKS = {
    "ZDT1": Task(30, 2, zdt1, (0.0, 0.0)),
    "ZDT2": Task(30, 2, zdt2, (0.0, 0.0)),
    "ZDT3": Task(30, 2, zdt3, (0.0, -0.78)),
    "ZDT4": Task(10, 2, zdt4, (0.0, 0.0)),
    "ZDT6": Task(10, 2, zdt6, (0.28, 0.0)),
    "DTLZ1": Task(7, 3, dtlz1, (0.0, 0.0, 0.0)),
    "DTLZ2": Task(12, 3, dtlz2, (0.0, 0.0, 0.0)),
    "DTLZ7": Task(22, 3, dtlz7, (0.0, 0.0, 2.61)),
    "compression": Task(
        len(LEVELS), 2, lambda x: compressed.result([int(each) for each in x]), (0.0, 0.0), levels=LEVELS
    ),
}
SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "Optuna NSGA-II": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "Optuna TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "Optuna TPE multivariate": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
}
OURS = ("Auto", "GP", "TPE", "NSGAII", "NSGAIII", "QuasiRandom", "Random")


@cache
def corner(name: str) -> Values:
    rng, task = random.Random(1), TASKS[name]
    points = [task.values(task.point(rng)) for _ in range(1000)]
    return tuple(max(column) for column in zip(*points, strict=True))


def covered(name: str, values: Sequence[Values]) -> float:
    box = math.prod(a - b for a, b in zip(corner(name), TASKS[name].ideal, strict=True))
    return hypervolume(values, corner(name)) / box


def ours(name: str, algorithm: str, seed: int, trials: int) -> list[Values]:
    task = TASKS[name]
    spec = StudySpec.model_validate(
        {
            "objectives": [{"metric": f"f{index}", "goal": "Minimize"} for index in range(task.objectives)],
            "parameters": task.parameters(),
            "algorithm": {"name": algorithm, "seed": seed},
            "limits": {"trials": trials},
            "trial": {"trainer": {}},
        }
    )
    given = problem(spec, study_uid=name)
    known, history = Known(given.space), list[Observation]()
    for number in range(trials):
        made = suggest(given, history=tuple(history), running={}, number=number, known=known)
        if not isinstance(made, Suggestion):
            raise RuntimeError(f"{name}: trial {number}: {made}")
        values = task.values([float(made.parameters[f"x{index}"]) for index in range(task.dimensions)])
        history.append(Observation(number, made.parameters, values, generation=made.generation))
    return [each.values for each in history if each.values is not None]


def optunas(name: str, sampler: str, seed: int, trials: int) -> list[Values]:
    task, found = TASKS[name], list[Values]()
    with warnings.catch_warnings(action="ignore"):
        study = optuna.create_study(sampler=SAMPLERS[sampler](seed), directions=["minimize"] * task.objectives)
        for _ in range(trials):
            trial = study.ask()
            found.append(task.values(task.ask(trial)))
            study.tell(trial, found[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--methods", nargs="+", default=[*SAMPLERS, *OURS])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=100)
    given = parser.parse_args()
    print(f"{'':26}" + "".join(f"{name[:8]:>9}" for name in given.tasks) + f"{'mean':>9}{'s CPU':>9}", flush=True)
    for method in given.methods:
        start, means = time.process_time(), []
        for name in given.tasks:
            run = optunas if method in SAMPLERS else ours
            means.append(
                statistics.fmean(covered(name, run(name, method, seed, given.trials)) for seed in range(given.seeds))
            )
        spent = (time.process_time() - start) / given.seeds / len(given.tasks)
        print(
            f"{method:26}" + "".join(f"{each:9.4f}" for each in [*means, statistics.fmean(means)]) + f"{spent:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
