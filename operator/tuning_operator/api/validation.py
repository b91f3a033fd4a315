"""The verdict on a whole study document, offline: what the API server would say, and what the operator would.

Both tiers are here in one call: the schema and its rules (the API server refuses the object) and the semantics (the
operator shows `Stalled/InvalidSpec` and starts nothing).
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from tuning_operator.api import names, schema
from tuning_operator.api.crd import study_schema
from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.rule import broken, broken_by_change
from tuning_operator.api.rules import STUDY_RULES, STUDY_TRANSITIONS
from tuning_operator.api.semantics import semantic_problems
from tuning_operator.api.structural import Schema
from tuning_operator.api.study import StudySpec

DNS = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUALIFIED = (
    r"^(([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
)
LABEL = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"

METADATA: Schema = {
    "type": "object",
    "required": ["name"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "name": {
            "type": "string",
            "pattern": DNS,
            "maxLength": 253,
            "description": "lower-case letters, digits, - and .",
        },
        "namespace": {"type": "string", "pattern": DNS, "maxLength": 63},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "pattern": LABEL, "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
"""As much of ObjectMeta as people write by hand."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a study."""

    refused: tuple[Problem, ...]
    """The API server refuses the object."""
    invalid: tuple[Problem, ...]
    """The operator starts nothing. Only known where the object is not refused."""
    spec: StudySpec | None
    """The spec, completed by defaults, if nothing is wrong."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.refused + self.invalid


class InvalidStudyError(ValueError):
    """A study with problems; the message lists them, one a line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def is_study(document: Any) -> bool:
    """Whether a document means to be a TuningStudy, of whatever version."""
    return isinstance(document, dict) and (
        document.get("kind") == names.STUDY_KIND
        or (
            str(document.get("apiVersion", "")).startswith(f"{names.GROUP}/")
            and document.get("kind") != names.TRIAL_KIND
        )
    )


def validate(document: Any, *, service_accounts: Collection[str] = (), local: bool = False) -> Verdict:
    """Both tiers for a whole document, `apiVersion` to `spec`; a `status` in it counts for nothing.

    `local`: what `tuning run` says, instead of a cluster.
    """
    refused = refusals(document)
    if refused:
        return Verdict(tuple(refused), (), None)
    try:
        spec = StudySpec.model_validate(completed(document)["spec"])
    except ValidationError as error:
        return Verdict((), tuple(model_problems(error)), None)
    invalid = tuple(semantic_problems(spec, service_accounts=service_accounts, local=local))
    return Verdict((), invalid, None if invalid else spec)


def parse(document: Any, *, service_accounts: Collection[str] = ()) -> StudySpec:
    """The spec of a document without problems. Raises `InvalidStudyError`."""
    verdict = validate(document, service_accounts=service_accounts)
    if verdict.spec is None:
        raise InvalidStudyError(verdict.problems)
    return verdict.spec


def refusals(document: Any) -> list[Problem]:
    """Why the API server would refuse to create the object."""
    if not isinstance(document, dict):
        return [Problem("", shown(document), f"write a {names.STUDY_KIND}: apiVersion, kind, metadata, spec")]
    problems = [
        Problem(field, shown(document[field]) if field in document else "", f"write {wanted}")
        for field, wanted in (("apiVersion", names.API_VERSION), ("kind", names.STUDY_KIND))
        if document.get(field) != wanted
    ]
    problems += schema.problems(METADATA, document.get("metadata") or {}, "metadata")
    whole = completed(document)
    problems += schema.problems(_study(), {name: value for name, value in whole.items() if name != "status"})
    return problems + broken(STUDY_RULES, whole)


def model_problems(error: ValidationError, path: str = "spec") -> list[Problem]:
    """What pydantic says of what the schema let pass: a null among scalars, or an object of another version."""
    found: dict[str, Problem] = {}
    for each in error.errors(include_url=False):
        *way, last = each["loc"]
        union = last in ("str", "int", "float", "bool") and bool(way) and isinstance(way[-1], int)
        where = path + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in (way if union else each["loc"])
        )
        remedy = "write a string, a number, true or false" if union else each["msg"]
        found.setdefault(where, Problem(where, shown(each["input"]), remedy))
    return list(found.values())


def refused_changes(old: Any, new: Any) -> list[Problem]:
    """Why the API server would refuse to replace `old`, with its status, by `new`, besides what is wrong with `new`."""
    return broken_by_change(STUDY_TRANSITIONS, completed(old), completed(new))


def completed(document: Any) -> Any:
    """A copy of a study document with all defaults."""
    return schema.complete(_study(), document)


@cache
def _study() -> Schema:
    return study_schema()
