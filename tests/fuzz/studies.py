"""Damaged studies through what `tuning check` and the operator say of them.

Nothing crashes. What is accepted is what the schema takes, stays the same when it is read again, says nothing that no
search could do (bounds the wrong way round, two parameters of one name), and its first suggestions lie in its space.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import damage
from tests.fuzz.strict import complaint
from tests.unit.api.corpus import cases
from tuning_operator.api.crd import study_schema
from tuning_operator.api.load import load_file
from tuning_operator.api.study import StudySpec
from tuning_operator.api.validation import is_study, validate
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Suggestion

EXAMPLES = Path(__file__).parents[2] / "examples"


def one(rng: random.Random) -> Iterator[str]:
    """Complaints; a first word tells what became of it."""
    document = damage.tree(rng, rng.choice(_documents()), times=rng.choice((0, 1, 1, 2, 5)))
    verdict = validate(document)
    if verdict.spec is None:
        yield "refused"
        if not verdict.problems:
            yield "refused without a word"
        return
    yield "accepted"
    if verdict.problems:
        yield f"accepted with {verdict.problems[0]}"
    found = complaint(_schema(), {key: document[key] for key in ("spec",) if key in document})
    if found:
        yield f"accepted against the schema: {found}"
    again = StudySpec.model_validate(verdict.spec.model_dump(mode="json", by_alias=True, exclude_unset=True))
    if again != verdict.spec:
        yield "read differently the second time"
    yield from _senseless(verdict.spec)
    if rng.random() < 0.2:
        yield from _suggestions(verdict.spec)


def _senseless(spec: StudySpec) -> Iterator[str]:
    names = [each.name for each in spec.parameters]
    if len(set(names)) < len(names) or len({each.metric for each in spec.objectives}) < len(spec.objectives):
        yield "accepted two of one name"
    for each in spec.parameters:
        bounds = each.float_ or each.int_
        if bounds is None:
            continue
        low, high = float(bounds.min), float(bounds.max)
        if not (math.isfinite(low) and math.isfinite(high)) or low > high or (bounds.scale.value == "Log" and low <= 0):
            yield f"accepted {each.name} from {low} to {high} ({bounds.scale})"


def _suggestions(spec: StudySpec) -> Iterator[str]:
    asked = problem(spec, study_uid="fuzz")
    running: dict[int, Any] = {}
    for number in range(2):
        answer = suggest(asked, history=(), running=running, number=number)
        if not isinstance(answer, Suggestion):
            return
        wrong = asked.space.problems(answer.parameters)
        if wrong:
            yield f"suggested {dict(answer.parameters)}: {wrong[0]}"
        running[number] = answer.parameters


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    good = [case.document for case in cases() if not (case.refused or case.invalid)]
    shown = [
        each.value for path in sorted(EXAMPLES.rglob("*.yaml")) for each in load_file(path) if is_study(each.value)
    ]
    return (*good, *shown)


@cache
def _schema() -> dict[str, Any]:
    spec = study_schema()["properties"]["spec"]
    return {"type": "object", "required": ["spec"], "properties": {"spec": spec}}
