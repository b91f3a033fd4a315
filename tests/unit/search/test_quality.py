"""The model must pay: better than random, and as good as Optuna's own sampler used the usual way."""

import math
import statistics
from collections.abc import Callable

import pytest

from tests.unit.search import optuna_reference
from tests.unit.search.spaces import a_choice, a_float, a_problem, an_int, when
from tuning_operator.api.parameters import Parameter
from tuning_operator.search.compiling import compile_space
from tuning_operator.search.known import Known
from tuning_operator.search.suggest import suggest
from tuning_operator.search.types import Observation, Parameters, Suggestion

SEEDS = range(10)
TRIALS = 60


def sphere(p: Parameters) -> float:
    return math.fsum((float(p[f"x{i}"]) - 0.3) ** 2 for i in range(4))


def training(p: Parameters) -> float:
    """Shaped as validation loss is: a valley in log lr, fewer effects elsewhere, and branches of different worth."""
    value = 0.25 * abs(math.log10(float(p["lr"])) + 2.5)
    value += {"sgd": 0.2, "adam": 0.0, "lion": 0.35}[str(p["optimizer"])]
    value += 0.2 * (float(p["momentum"]) - 0.9) ** 2 if "momentum" in p else 0.0
    return value + 0.05 * abs(int(p["layers"]) - 3) + 0.1 * abs(math.log2(int(p["batch"])) - 6)


def table(p: Parameters) -> float:
    """Only 576 points, of which few are good."""
    a, b, c = int(p["a"]), int(p["b"]), float(p["c"])
    return (a - 7) ** 2 / 50 + (b - 2) ** 2 / 20 + (c - 0.6) ** 2 + (0.3 if p["d"] == "no" else 0.0)


SPHERE = [a_float(f"x{i}", -1, 1) for i in range(4)]
TRAINING = [
    a_float("lr", 1e-6, 1, scale="Log"),
    a_choice("optimizer", "sgd", "adam", "lion"),
    a_float("momentum", 0, 1, when=[when("optimizer", "sgd")]),
    an_int("layers", 1, 8),
    an_int("batch", 8, 1024, scale="Log"),
]
TABLE = [an_int("a", 0, 11), an_int("b", 0, 5), a_float("c", 0, 0.75, step=0.25), a_choice("d", "yes", "no")]
TASKS: dict[str, tuple[list[Parameter], Callable[[Parameters], float]]] = {
    "sphere": (SPHERE, sphere),
    "training": (TRAINING, training),
    "table": (TABLE, table),
}


def ours(task: str, algorithm: str, seed: int) -> float:
    parameters, objective = TASKS[task]
    problem = a_problem(parameters, algorithm=algorithm, seed=seed)
    known, history = Known(problem.space), []
    for number in range(TRIALS):
        made = suggest(problem, history=history, running={}, number=number, known=known)
        assert isinstance(made, Suggestion)
        history.append(Observation(number, made.parameters, (objective(made.parameters),)))
    return min(o.values[0] for o in history if o.values)


def optunas(task: str, seed: int) -> float:
    parameters, objective = TASKS[task]
    space = compile_space(parameters)
    study = optuna_reference.a_study(space, seed=seed)
    for _ in range(TRIALS):
        trial, point = optuna_reference.ask(study, space)
        study.tell(trial, objective(point))
    return float(study.best_value)


@pytest.mark.parametrize("task", TASKS)
def test_the_model_beats_random_and_equals_optuna(task: str) -> None:
    model = [ours(task, "TPE", seed) for seed in SEEDS]
    random = [ours(task, "Random", seed) for seed in SEEDS]
    reference = [optunas(task, seed) for seed in SEEDS]
    means = {name: statistics.mean(of) for name, of in (("model", model), ("random", random), ("optuna", reference))}
    print(task, means)
    assert means["model"] < 0.7 * means["random"]
    spread = statistics.stdev(reference) / math.sqrt(len(SEEDS)) + statistics.stdev(model) / math.sqrt(len(SEEDS))
    assert means["model"] <= means["optuna"] + 2 * spread
