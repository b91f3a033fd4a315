"""The methods: each is asked for a point while others run, and told losses, as its users would do it."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import optuna

from tests.bench.search.tasks import Task
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.study import StudySpec
from tuning_operator.search.compiling import compile_space
from tuning_operator.search.dimension import ChoiceDimension, RealDimension
from tuning_operator.search.known import Known
from tuning_operator.search.space import Axis
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Observation, Parameters, Suggestion

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Method(Protocol):
    def ask(self, number: int) -> Parameters: ...

    def tell(self, number: int, loss: float | None) -> None:
        """None: the parameters do not work."""


class Ours:
    """`suggest`, as the operator asks it: a pure function of what is recorded and what runs."""

    def __init__(self, task: Task, seed: int, *, name: str, trials: int, parallel: int) -> None:
        spec = StudySpec.model_validate(
            {
                "objectives": [{"metric": "loss", "goal": "Minimize"}],
                "parameters": [p.model_dump(by_alias=True, exclude_defaults=True) for p in task.parameters],
                "algorithm": {"name": name, "seed": seed},
                "limits": {"trials": trials, "parallel": parallel},
                "trial": {"trainer": {}},
            }
        )
        self.problem = problem(spec, study_uid=task.name)
        self.known = Known(self.problem.space)
        self.history: dict[int, Observation] = {}
        self.running: dict[int, Parameters] = {}

    def ask(self, number: int) -> Parameters:
        history = tuple(self.history[each] for each in sorted(self.history))
        made = suggest(self.problem, history=history, running=self.running, number=number, known=self.known)
        if not isinstance(made, Suggestion):
            raise RuntimeError(f"trial {number}: {made}")
        self.running[number] = made.parameters
        return made.parameters

    def tell(self, number: int, loss: float | None) -> None:
        values = None if loss is None else (loss,)
        self.history[number] = Observation(number, self.running.pop(number), values, infeasible=loss is None)


class Optunas:
    """A study with one sampler that lives as long as it."""

    def __init__(self, task: Task, seed: int, *, sampler: Callable[[int], Any]) -> None:
        self.space = compile_space(task.parameters)
        with warnings.catch_warnings(action="ignore"):
            self.study = optuna.create_study(sampler=sampler(seed))
        self.distributions = {axis.name: _distribution(axis) for axis in self.space.axes}
        self.trials: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Parameters:
        with warnings.catch_warnings(action="ignore"):
            trial = self.trials[number] = self.study.ask(self.distributions)
        return self.space.build(lambda axis: trial.params[axis.name])

    def tell(self, number: int, loss: float | None) -> None:
        state = optuna.trial.TrialState.FAIL if loss is None else None
        self.study.tell(self.trials.pop(number), loss, state=state)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    match axis.values:
        case RealDimension(low, high, log):
            return optuna.distributions.FloatDistribution(low, high, log=log)
        case ChoiceDimension(choices, ordered=False):
            return optuna.distributions.CategoricalDistribution(range(len(choices)))
        case values:
            return optuna.distributions.IntDistribution(0, values.count - 1)


SAMPLERS: Mapping[str, Callable[[int], Any]] = {
    "Optuna default": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "Optuna TPE univariate": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False),
    "Optuna TPE multivariate": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    "Optuna GP": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "Optuna random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
OURS = ("Auto", "GP", "TPE", "Random")


def make(name: str, task: Task, seed: int, *, trials: int, parallel: int) -> Method:
    if name in SAMPLERS:
        return Optunas(task, seed, sampler=SAMPLERS[name])
    return Ours(task, seed, name=name, trials=trials, parallel=parallel)


def identity(parameters: Mapping[str, JSONScalar]) -> str:
    return repr(sorted(parameters.items()))
