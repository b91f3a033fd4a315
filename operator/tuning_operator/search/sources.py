"""Sources of earlier results (`spec.warmStart`) in one form, wherever they were read. Pure: others do the reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tuning_operator.api.problem import shown
from tuning_operator.api.study import EarlierTrial, Objective, StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.search.types import Parameters


@dataclass(frozen=True, slots=True)
class Earlier:
    """One result of a source."""

    parameters: Parameters
    values: Mapping[str, float] = field(default_factory=dict)
    """Value of each objective, summarised as the source's study asks."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Last value of every metric."""
    infeasible: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where results come from."""

    name: str
    """For a person, and what makes a source one: `study digits`, `ConfigMap earlier`."""
    results: Sequence[Earlier] = ()
    """In the order in which they came."""
    objectives: Sequence[Objective] | None = None
    """Of the study there; None if the source does not say."""
    full: int | None = None
    """Full budget of the study there (`fidelity.max`), if it has one."""
    problem: str = ""
    """Why it could not be read, if so."""


def study_source(name: str, spec: StudySpec, results: Sequence[Earlier | None]) -> Source:
    """A study as a source, with what `earlier_result` gave for each of its trials, by number."""
    full = spec.fidelity.max if spec.fidelity is not None else None
    return Source(f"study {name}", [each for each in results if each is not None], spec.objectives, full)


def earlier_result(
    parameters: Parameters,
    *,
    role: Role,
    state: TrialState,
    values: Mapping[str, float],
    metrics: Mapping[str, float],
    infeasible: bool,
) -> Earlier | None:
    """A trial of the search as recorded, if something can be learned from it: one that was stopped early says too
    little, and one that failed without a fault of its parameters says nothing.
    """
    useful = state is TrialState.SUCCEEDED or (state is TrialState.FAILED and infeasible)
    return Earlier(parameters, values, metrics, infeasible) if useful and role is Role.SEARCH else None


def trials_source(name: str, trials: Sequence[EarlierTrial]) -> Source:
    """A table as a source. It does not say the goals; they are taken to be those of the study."""
    return Source(name, [Earlier(each.parameters, each.values) for each in trials])


def table_source(name: str, text: str | None, *, key: str) -> Source:
    """A table as JSON text, as a ConfigMap holds it: a list like `spec.warmStart[].trials`. None: there is no such key.

    What is no such table becomes the source's `problem`, with what to write.
    """
    if text is None:
        return Source(name, problem=f"it has no key {key}; write it, or name another one in configMap.key")
    try:
        return trials_source(name, _TABLE.validate_json(text))
    except ValidationError as error:
        return Source(name, problem=f"{key}: {_first(error)}; write a list of {_EXAMPLE}")


_TABLE: TypeAdapter[list[EarlierTrial]] = TypeAdapter(list[EarlierTrial])
_EXAMPLE = '{"parameters": {"lr": 0.1}, "values": {"val_accuracy": 0.9}}'


def _first(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return ": ".join(filter(None, [where, "" if first["loc"] == () else shown(first["input"]), first["msg"]]))
