import pytest

from tests.unit.search.spaces import CONDITIONAL, INFINITE_CONDITIONAL, MIXED, SMALL, a_float, a_problem, a_study
from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.search.choice import Choice
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Suggestion


@pytest.mark.parametrize(
    ("parameters", "trials", "parallel", "chosen"),
    [
        pytest.param(
            SMALL, 48, 1, Choice("Grid", "the space has 48 points in all, within the limit of 48 trials"), id="fits"
        ),
        pytest.param(SMALL, None, 1, Choice("Grid", "the space has 48 points in all"), id="no limit, finite"),
        pytest.param(
            SMALL,
            47,
            1,
            Choice(
                "GP",
                "one objective over 3 parameters, 48 points: a Gaussian process, and TPE for every third trial",
                AlgorithmName.TPE,
            ),
            id="one point too many",
        ),
        pytest.param(
            CONDITIONAL,
            15,
            4,
            Choice("Grid", "the space has 15 points in all, within the limit of 15 trials"),
            id="inactive parameters do not multiply",
        ),
        pytest.param(
            MIXED,
            100,
            8,
            Choice(
                "GP",
                "one objective over 8 parameters, infinitely many points: a Gaussian process, and TPE for every third "
                "trial",
                AlgorithmName.TPE,
            ),
            id="infinite",
        ),
        pytest.param(
            MIXED,
            2000,
            8,
            Choice(
                "GP",
                "one objective over 8 parameters, infinitely many points: a Gaussian process, and TPE for every third "
                "trial; beyond 500 results TPE alone",
                AlgorithmName.TPE,
            ),
            id="more trials than a Gaussian process can know",
        ),
        pytest.param(
            [a_float(f"x{index}", 0, 1) for index in range(31)],
            100,
            8,
            Choice("TPE", "the space has infinitely many points: a model learns from results after 10 random ones"),
            id="many parameters",
        ),
        pytest.param(MIXED, 10, 4, Choice("Random", "10 trials, 4 at once, are too few for a model"), id="few trials"),
        pytest.param(
            MIXED, 32, 32, Choice("Random", "32 trials, 32 at once, are too few for a model"), id="all at once"
        ),
    ],
)
def test_auto_chooses_and_says_why(
    parameters: list[Parameter], trials: int | None, parallel: int, chosen: Choice
) -> None:
    task = a_problem(parameters, algorithm="Auto", trials=trials, parallel=parallel)
    assert task.choice == chosen


@pytest.mark.parametrize(
    ("more", "chosen"),
    [
        pytest.param({"objectives": 2}, ("GP", None), id="two objectives over an infinite space"),
        pytest.param({"objectives": 3}, ("GP", AlgorithmName.TPE), id="three objectives"),
        pytest.param({"fidelity": {"max": 27}}, ("TPE", None), id="several fidelities"),
        pytest.param({"minImprovement": 0.1}, ("GP", None), id="an end that every suggestion must speak to"),
    ],
)
def test_auto_heeds_the_rest_of_the_study(more: dict[str, object], chosen: tuple[str, str | None]) -> None:
    spec = a_study(MIXED, algorithm="Auto", goals=("Minimize",) * int(str(more.get("objectives", 1))))
    given = spec.model_dump(by_alias=True, exclude_none=True)
    if "fidelity" in more:
        given["fidelity"] = more["fidelity"]
    if "minImprovement" in more:
        given["limits"]["minImprovement"] = more["minImprovement"]
    choice = problem(StudySpec.model_validate(given), study_uid="u").choice
    assert (choice.name, choice.partner) == chosen


def test_on_a_front_of_two_objectives_tpe_takes_turns_where_values_are_few() -> None:
    spec = a_study(SMALL, algorithm="Auto", trials=40, goals=("Minimize", "Minimize"))
    choice = problem(spec, study_uid="u").choice
    assert (choice.name, choice.partner, choice.turn) == (AlgorithmName.GP, AlgorithmName.TPE, 2)
    assert choice.reason.endswith("a Gaussian process for each, and TPE for every second trial")


def test_where_early_values_decide_a_small_space_is_begun_evenly_and_searched_by_a_model() -> None:
    given = a_study(SMALL, algorithm="Auto", trials=48).model_dump(by_alias=True, exclude_none=True)
    rungs = {"fidelity": {"max": 27}, "scheduler": {"name": "ASHA"}}
    assert problem(StudySpec.model_validate(given), study_uid="u").choice.name == "Grid"
    task = problem(StudySpec.model_validate(given | rungs), study_uid="u")
    reason = "the space has 48 points: a model learns from results after 10 quasi-random ones"
    assert task.choice == Choice("TPE", reason)
    first = suggest(task, history=[], running={}, number=0)
    assert isinstance(first, Suggestion)
    assert (first.by, first.reason[:35]) == ("QuasiRandom", "start, 0 of 10 results known: point")


@pytest.mark.parametrize("name", ["Grid", "Random", "TPE"])
def test_a_named_algorithm_is_taken(name: str) -> None:
    assert a_problem(SMALL, algorithm=name, trials=3).choice == Choice(name, "chosen by the study")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        pytest.param(
            [*SMALL, a_float("lr", 1e-4, 0.1, scale="Log")], "parameter lr is a number from 0.0001", id="flat"
        ),
        pytest.param(INFINITE_CONDITIONAL, "parameter lr is a number from 0.0001 to 1.0, infinitely many", id="branch"),
    ],
)
def test_a_grid_over_an_infinite_space_names_the_parameter(parameters: list[Parameter], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        problem(a_study(parameters, algorithm="Grid"), study_uid="u")


def test_settings_of_the_model_reach_it() -> None:
    task = a_problem(MIXED, algorithm="TPE", startup_trials=3, candidates=5, multivariate=False)
    settings = task.algorithm.tpe
    assert settings is not None
    assert (settings.startup_trials, settings.candidates, settings.multivariate) == (3, 5, False)
