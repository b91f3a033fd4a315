"""Reading a study's spec, once for each generation. Pure."""

from collections.abc import Collection

from pydantic import ValidationError

from tuning_operator.api.semantics import semantic_problems
from tuning_operator.api.study import StudySpec
from tuning_operator.cluster.seen import StudySeen
from tuning_operator.cluster.store import Known
from tuning_operator.core.model import Study
from tuning_operator.search.suggest import Problem, problem


def read_study(
    seen: StudySeen, *, service_accounts: Collection[str] = ()
) -> tuple[Study | None, Problem | None, tuple[str, ...]]:
    """The study, its search problem, and what is wrong with either; without errors both are there.

    `service_accounts`: globs of those besides `default` that the administrator allows.
    """
    try:
        spec = StudySpec.model_validate(seen.spec)
    except ValidationError as error:
        # The API server has refused all of these, unless the CRD it holds is of another version than this operator.
        return None, None, tuple(f"spec.{_path(e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)[:10])
    study = Study(
        namespace=seen.identity.namespace,
        name=seen.identity.name,
        uid=seen.identity.uid,
        generation=seen.generation,
        spec=spec,
        created_at=seen.created_at,
        deleting=seen.deleting,
        labels=seen.labels,
    )
    wrong = tuple(str(each) for each in semantic_problems(spec, service_accounts=service_accounts))
    if wrong:
        return study, None, wrong
    try:
        return study, problem(spec, study_uid=study.uid), ()
    except ValueError as error:
        return study, None, (str(error),)


def spec_of(known: Known) -> StudySpec | None:
    """The spec as it was last read."""
    return known.study.spec if known.study is not None else None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
