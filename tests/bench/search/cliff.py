"""How many of 60 trials a search wastes on models that do not fit into memory, where larger ones are better.

python -m tests.bench.search.cliff

Accuracy grows with width and layers and wants a learning rate of its own; memory is batch x width x layers, and what
needs more than the limit has no value: more than a third of random points. Optuna is asked both ways: failures told as
failed, which it ignores, and as pruned with a broken constraint.
"""

import argparse
import math
import statistics
from collections.abc import Mapping

import optuna

from tests.bench.search.methods import SAMPLERS, Method, Optunas, make
from tests.bench.search.tasks import Task
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter

TRIALS = 60
TOLD = "Optuna default, told"
LIMIT = 2.0**21
SPACE = [
    {"name": "lr", "float": {"min": 1e-5, "max": 1e-1, "scale": "Log"}},
    {"name": "batch", "int": {"min": 16, "max": 1024, "scale": "Log"}},
    {"name": "width", "int": {"min": 64, "max": 8192, "scale": "Log"}},
    {"name": "layers", "int": {"min": 1, "max": 24}},
    {"name": "optimizer", "choice": ["sgd", "adam", "lion"]},
]


def fits(point: Mapping[str, JSONScalar]) -> bool:
    return float(point["batch"]) * float(point["width"]) * float(point["layers"]) <= LIMIT


def loss(point: Mapping[str, JSONScalar]) -> float:
    capacity = math.log2(float(point["width"])) + math.log2(float(point["layers"]))
    off = abs(math.log10(float(point["lr"])) + 3) + {"sgd": 0.3, "adam": 0.0, "lion": 0.1}[str(point["optimizer"])]
    return 4.0 / capacity + 0.05 * off + 0.02 * abs(math.log2(float(point["batch"])) - 7)


class Told(Optunas):
    """Failures as trials that break a constraint."""

    def tell(self, number: int, loss: float | None) -> None:
        if loss is not None:
            super().tell(number, loss)
            return
        trial = self.trials.pop(number)
        trial.set_constraint("fits", 1.0)
        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def run(method: Method) -> tuple[int, float]:
    wasted, best = 0, math.inf
    for number in range(TRIALS):
        point = method.ask(number)
        value = loss(point) if fits(point) else None
        method.tell(number, value)
        wasted += value is None
        best = best if value is None else min(best, value)
    return wasted, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--methods", nargs="+", default=["Optuna default", TOLD, "TPE", "GP", "Auto", "Random"])
    given = parser.parse_args()
    seeds = range(given.seeds)
    task = Task("cliff", tuple(Parameter.model_validate(each) for each in SPACE), loss, 0.0, 1.0, 1.0)
    print(f"{'':34}{'wasted of ' + str(TRIALS):>14}{'best loss':>12}")
    for name in given.methods:
        found = []
        for seed in seeds:
            if name == TOLD:
                method: Method = Told(task, seed, sampler=SAMPLERS["Optuna default"])
            else:
                method = make(name, task, seed, trials=TRIALS, parallel=1)
            found.append(run(method))
        wasted, best = (statistics.fmean(values) for values in zip(*found, strict=True))
        print(f"{name:34}{wasted:14.1f}{best:12.4f}", flush=True)


if __name__ == "__main__":
    main()
