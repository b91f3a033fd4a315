"""Every study of the corpus gets the verdict and the words that the corpus says; tests/cluster asks the real server."""

from typing import Any

import pytest

from tests.unit.api.corpus import Case, cases, says
from tuning_operator.api.study import StudySpec
from tuning_operator.api.validation import completed, validate

CORPUS = cases()


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_verdict(case: Case) -> None:
    verdict = validate(case.document)
    refused, invalid = "\n".join(map(str, verdict.refused)), "\n".join(map(str, verdict.invalid))
    if case.refused:
        assert says(case.refused, refused), refused
    elif case.invalid:
        assert not refused
        assert says(case.invalid, invalid), invalid
        assert len(verdict.invalid) == 1, invalid
    else:
        assert not verdict.problems
        assert verdict.spec is not None


def test_the_corpus_is_wide() -> None:
    assert len(CORPUS) >= 120
    assert len({case.name for case in CORPUS}) == len(CORPUS)


def test_the_models_default_what_the_schema_defaults() -> None:
    for case in CORPUS:
        verdict = validate(case.document)
        if verdict.spec is not None:
            written = without_nulls(case.document["spec"])
            assert StudySpec.model_validate(written) == verdict.spec, case.name


def without_nulls(value: Any) -> Any:
    """As the API server reads it, for the parts of a study that pydantic knows."""
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    if isinstance(value, dict):
        kept = {name: without_nulls(each) for name, each in value.items() if each is not None}
        return kept | {name: value[name] for name in ("trainer", "template") if name in value}
    return value


def test_checking_changes_nothing() -> None:
    case = CORPUS[0]
    before = repr(case.document)
    validate(case.document)
    completed(case.document)
    assert repr(case.document) == before
