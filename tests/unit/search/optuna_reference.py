"""Plain Optuna, used as its documentation shows: the yardstick of `suggest` in quality and in cost."""

import warnings
from collections.abc import Sequence

import optuna

from tuning_operator.api.base import JSONScalar
from tuning_operator.search.dimension import ChoiceDimension, Key, RealDimension, StepDimension
from tuning_operator.search.space import Axis, Space
from tuning_operator.search.types import Observation

optuna.logging.set_verbosity(optuna.logging.ERROR)


def a_study(space: Space, *, objectives: int = 1, seed: int = 1, history: Sequence[Observation] = ()) -> optuna.Study:
    """A study with one live sampler, which minimises; its float steps are those of the space, by index."""
    with warnings.catch_warnings(action="ignore"):
        conditional = any(axis.when for axis in space.axes)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=conditional)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    distributions = {axis.name: _distribution(axis) for axis in space.axes}
    study.add_trials(
        optuna.trial.create_trial(
            params={space.axes[index].name: key for index, key in space.key(observation.parameters) or ()},
            distributions={name: distributions[name] for name in observation.parameters},
            values=observation.values,
        )
        for observation in history
    )
    return study


def ask(study: optuna.Study, space: Space) -> tuple[optuna.Trial, dict[str, JSONScalar]]:
    trial = study.ask()

    def choose(axis: Axis) -> Key:
        match axis.values:
            case RealDimension(low, high, log):
                return trial.suggest_float(axis.name, low, high, log=log)
            case StepDimension(low=low, log=True, count=count):
                return trial.suggest_int(axis.name, low, low + count - 1, log=True) - low
            case StepDimension(count=count):
                return trial.suggest_int(axis.name, 0, count - 1)
            case ChoiceDimension(choices):
                return trial.suggest_categorical(axis.name, range(len(choices)))

    return trial, space.build(choose)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    match axis.values:
        case RealDimension(low, high, log):
            return optuna.distributions.FloatDistribution(low, high, log=log)
        case StepDimension(low=low, log=True, count=count):
            return optuna.distributions.IntDistribution(low, low + count - 1, log=True)
        case StepDimension(count=count):
            return optuna.distributions.IntDistribution(0, count - 1)
        case ChoiceDimension(choices):
            return optuna.distributions.CategoricalDistribution(range(len(choices)))
