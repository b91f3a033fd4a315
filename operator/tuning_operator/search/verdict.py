"""What is wrong with a study that only its compiled search space knows: the last word of `tuning check`."""

from tuning_operator.api.problem import Problem
from tuning_operator.api.study import StudySpec
from tuning_operator.search.problem import problem


def search_problems(spec: StudySpec) -> tuple[Problem, ...]:
    """What the operator would find when it begins to search a study with no other problem."""
    try:
        problem(spec, study_uid="")
    except ValueError as error:
        path, _, remedy = str(error).partition(": ")
        return (Problem(path, "", remedy),)
    return ()
