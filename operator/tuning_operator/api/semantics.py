"""What no CRD can express: checks that need the whole space, the trainer's settings or the meaning of a template.

Pure. The operator shows these problems in the condition `Stalled/InvalidSpec` and starts nothing; `tuning check` prints
them after what the API server would say. What only the compiled space knows is in `search/verdict.py`.
"""

import math
from collections.abc import Collection, Iterator

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.checkpoint_semantics import checkpoint_problems
from tuning_operator.api.metric_semantics import metric_problems
from tuning_operator.api.object_template import object_problems
from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.space_semantics import space_problems
from tuning_operator.api.study import StudySpec
from tuning_operator.api.template import binding_problems, template_problems
from tuning_operator.api.trainer import setting_problem, trainer_problems
from tuning_operator.api.values import count

MOST_TRIALS = 10_000
"""Of a study; the same bound as that of `limits.trials`."""


def semantic_problems(spec: StudySpec, *, service_accounts: Collection[str] = (), local: bool = False) -> list[Problem]:
    """Everything wrong with a spec that the API server accepted.

    `service_accounts` are globs of those besides `default` that the administrator lets studies use. `local`: for
    `tuning run`, where some things are there that a cluster does not have.
    """
    return [
        *space_problems(spec),
        *_grid(spec),
        *_named_settings(spec),
        *trainer_problems(spec),
        *template_problems(spec.trial, service_accounts=service_accounts),
        *object_problems(spec.trial, service_accounts=service_accounts, local=local),
        *binding_problems(spec.trial),
        *metric_problems(spec, local=local),
        *(() if local else checkpoint_problems(spec)),
        *(() if local else _storages(spec)),
    ]


def _storages(spec: StudySpec) -> Iterator[Problem]:
    """The operator opens no databases."""
    for index, source in enumerate(spec.warm_start):
        if source.optuna is not None:
            remedy = (
                "a cluster reads no Optuna storage; make a ConfigMap of it with `tuning import` and write configMap"
            )
            yield Problem(f"spec.warmStart[{index}].optuna", shown(source.optuna.storage), remedy)


def _grid(spec: StudySpec) -> Iterator[Problem]:
    """A grid that is run as a whole must have an end; parameters with conditions could only make it larger."""
    if spec.algorithm.name is not AlgorithmName.GRID or spec.limits.trials is not None:
        return
    searched = [parameter for parameter in spec.parameters if not parameter.when and parameter.expression is None]
    points = math.prod(count(parameter) or 1 for parameter in searched)
    if points > MOST_TRIALS:
        remedy = f"a study has at most {MOST_TRIALS} trials; write wider steps, fewer choices, or limits.trials"
        yield Problem("spec.parameters", f"the grid has at least {points} points", remedy)


def _named_settings(spec: StudySpec) -> Iterator[Problem]:
    """Settings that the operator itself sets must be the trainer's, unless the template has a use for them."""
    replicates = spec.trial.replicates
    named = {
        "spec.fidelity.parameter": None if spec.fidelity is None else spec.fidelity.parameter,
        "spec.trial.replicates.parameter": None if replicates is None else replicates.parameter,
    }
    for where, name in named.items():
        remedy = "" if name is None else setting_problem(spec.trial, name)
        if remedy:
            yield Problem(where, shown(name), remedy)
