"""What no CRD can express: checks that need the whole space, the trainer's settings or the meaning of a template.

Pure. The operator shows these problems in the condition `Stalled/InvalidSpec` and starts nothing; `tuning check` prints
them after what the API server would say.
"""

import math
from collections.abc import Collection, Iterator, Mapping

from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.study import StudySpec
from tuning_operator.api.template import binding_problems, template_problems
from tuning_operator.api.trainer import trainer_problems
from tuning_operator.api.values import can_be, count, described, same

MOST_TRIALS = 10_000
"""Of a study; the same bound as that of `limits.trials`."""


def semantic_problems(spec: StudySpec, *, service_accounts: Collection[str] = ()) -> list[Problem]:
    """Everything wrong with a spec that the API server accepted.

    `service_accounts` are those besides `default` that the administrator lets studies use.
    """
    return [
        *_conditions(spec.parameters),
        *_choices(spec.parameters),
        *_grid(spec),
        *trainer_problems(spec),
        *template_problems(spec.trial, service_accounts=service_accounts),
        *binding_problems(spec.trial),
    ]


def _conditions(parameters: list[Parameter]) -> Iterator[Problem]:
    by_name = {parameter.name: parameter for parameter in parameters}
    parents = {each.name: [when.parameter for when in each.when] for each in parameters}
    reported: set[str] = set()
    for index, parameter in enumerate(parameters):
        cycle = _cycle(parents, parameter.name)
        if cycle and reported.isdisjoint(cycle):
            reported.update(cycle)
            way = " needs ".join([*cycle, cycle[0]])
            yield Problem(f"spec.parameters[{index}].when", way, "none of these could ever be active; remove one when")
        for at, when in enumerate(parameter.when):
            other = by_name.get(when.parameter)
            if other is None:
                continue  # the rule of the CRD says so
            for position, value in enumerate(when.values or ()):
                if not can_be(other, value):
                    yield Problem(
                        f"spec.parameters[{index}].when[{at}].values[{position}]",
                        shown(value),
                        f"{other.name} never has this value; write {described(other)}",
                    )


def _cycle(parents: Mapping[str, list[str]], start: str) -> list[str]:
    """A way from `start` along `when` back to itself; empty if there is none."""
    ways = [[start]]
    seen = set()
    while ways:
        way = ways.pop()
        for parent in parents.get(way[-1], []):
            if parent == start:
                return way
            if parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return []


def _choices(parameters: list[Parameter]) -> Iterator[Problem]:
    for index, parameter in enumerate(parameters):
        values = parameter.choice or []
        for at, value in enumerate(values):
            if any(same(value, each) for each in values[:at]):
                yield Problem(f"spec.parameters[{index}].choice[{at}]", shown(value), "is there twice; write it once")


def _grid(spec: StudySpec) -> Iterator[Problem]:
    """A grid that is run as a whole must have an end; parameters with conditions could only make it larger."""
    if spec.algorithm.name is not AlgorithmName.GRID or spec.limits.trials is not None:
        return
    points = math.prod(count(parameter) or 1 for parameter in spec.parameters if not parameter.when)
    if points > MOST_TRIALS:
        remedy = f"a study has at most {MOST_TRIALS} trials; write wider steps, fewer choices, or limits.trials"
        yield Problem("spec.parameters", f"the grid has at least {points} points", remedy)
