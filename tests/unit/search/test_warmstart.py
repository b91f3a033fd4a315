"""What a study learns from earlier results, and what it says about those that it cannot use."""

import json
import random
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pytest

from tests.unit.search.spaces import a_choice, a_float, an_int, when
from tuning_operator.api.algorithm import AlgorithmName
from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import EarlierTrial, StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.search.compiling import compile_space
from tuning_operator.search.constraints import violation
from tuning_operator.search.known import Known
from tuning_operator.search.registry import ALGORITHMS
from tuning_operator.search.sources import (
    Earlier,
    Source,
    earlier_result,
    study_source,
    table_source,
    trials_source,
)
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Observation, Suggestion
from tuning_operator.search.warmstart import MOST, learn

SPACE = [
    a_float("lr", 1e-4, 1e-1, scale="Log"),
    an_int("layers", 1, 4),
    a_choice("optimizer", "sgd", "adam"),
    a_float("momentum", 0, 0.9, when=[when("optimizer", "sgd")]),
]
POINT: dict[str, JSONScalar] = {"lr": 0.01, "layers": 2, "optimizer": "adam"}


def a_spec(
    *parameters: Parameter,
    objectives: Sequence[Mapping[str, Any]] = ({"metric": "acc", "goal": "Maximize"},),
    **more: Any,
) -> StudySpec:
    return StudySpec.model_validate(
        {
            "objectives": objectives,
            "parameters": [each.model_dump(by_alias=True, exclude_none=True) for each in parameters or SPACE],
            "trial": {"trainer": {}},
            "limits": {"trials": 20},
            **more,
        }
    )


def a_result(value: float | None = 0.9, /, metrics: Mapping[str, float] | None = None, **change: Any) -> Earlier:
    parameters = {name: each for name, each in {**POINT, **change}.items() if each is not None}
    return Earlier(parameters, {} if value is None else {"acc": value}, metrics or {})


def a_study(*results: Earlier, name: str = "old", **more: Any) -> Source:
    return study_source(name, a_spec(**more), results)


def test_results_of_the_same_space_are_all_learned_in_their_order_with_negative_numbers() -> None:
    learned = learn(a_spec(), [a_study(a_result(0.1), a_result(0.2, optimizer="sgd", momentum=0.5), a_result(0.3))])
    assert [(each.number, each.values) for each in learned.observations] == [(-3, (0.1,)), (-2, (0.2,)), (-1, (0.3,))]
    assert learned.observations[1].parameters == {"lr": 0.01, "layers": 2, "optimizer": "sgd", "momentum": 0.5}
    assert learned.notes == ("learned from 3 results of study old",)


@pytest.mark.parametrize(
    ("results", "note"),
    [
        pytest.param([a_result(lr=0.5)], "1 left out: lr is not a number from 0.0001 to 0.1", id="outside the range"),
        pytest.param([a_result(layers=2.5)], "1 left out: layers is not a whole number from 1 to 4", id="no integer"),
        pytest.param([a_result(layers="2")], "1 left out: layers is not a whole number from 1 to 4", id="a string"),
        pytest.param(
            [a_result(optimizer="lion")], "1 left out: optimizer is not one of 'sgd', 'adam'", id="another choice"
        ),
        pytest.param([a_result(layers=None)], "1 left out: no layers", id="a parameter missing"),
        pytest.param([a_result(optimizer="sgd")], "1 left out: no momentum", id="an active conditional one missing"),
        pytest.param([a_result(None)], "1 left out: no value of acc", id="no value"),
        pytest.param([a_result(float("nan"))], "1 left out: no value of acc", id="no number"),
        pytest.param(
            [a_result(lr=0.5), a_result(lr=1.0), a_result(layers=9)],
            "3 left out: 2: lr is not a number from 0.0001 to 0.1, 1: layers is not a whole number from 1 to 4",
            id="several reasons, the most frequent first",
        ),
    ],
)
def test_a_point_that_is_none_here_is_left_out_and_counted(results: list[Earlier], note: str) -> None:
    learned = learn(a_spec(), [a_study(a_result(), *results)])
    assert len(learned.observations) == 1
    assert learned.notes == (f"learned from 1 result of study old; {note}",)


@pytest.mark.parametrize(
    ("result", "parameters"),
    [
        pytest.param(a_result(momentum=0.5), POINT, id="a parameter that is not active here is dropped"),
        pytest.param(a_result(epochs=9), POINT, id="a parameter that is unknown here is dropped"),
        pytest.param(a_result(layers=2.0), POINT, id="2.0 is the whole number 2"),
    ],
)
def test_what_is_safe_is_mapped(result: Earlier, parameters: Mapping[str, JSONScalar]) -> None:
    (observation,) = learn(a_spec(), [a_study(result)]).observations
    assert observation.parameters == parameters
    assert type(observation.parameters["layers"]) is int


def test_a_missing_parameter_with_a_single_value_is_known() -> None:
    space = [*SPACE, an_int("epochs", 9, 9), a_choice("device", "gpu")]
    (observation,) = learn(a_spec(*space), [a_study(a_result())]).observations
    assert observation.parameters == POINT | {"epochs": 9, "device": "gpu"}


@pytest.mark.parametrize(
    ("value", "mapped"),
    [
        pytest.param(True, True, id="true is true"),
        pytest.param(1, 1, id="1 is 1, not true"),
        pytest.param("1", "1", id="a string is a string"),
        pytest.param(1.0, 1, id="1.0 is the number 1, as JSON has it"),
        pytest.param(0, None, id="0 is not false"),
    ],
)
def test_choices_are_compared_as_json(value: JSONScalar, mapped: JSONScalar | None) -> None:
    spec = a_spec(a_choice("c", True, 1, "1", False))
    learned = learn(spec, [Source("table", [Earlier({"c": value}, {"acc": 1.0})])])
    found = [each.parameters["c"] for each in learned.observations]
    assert [(type(each), each) for each in found] == ([] if mapped is None else [(type(mapped), mapped)])


def test_dropped_parameters_are_named_with_whether_they_varied() -> None:
    results = [a_result(depth=depth, seed=1) for depth in (1, 2, 3)]
    (note,) = learn(a_spec(), [a_study(*results)]).notes
    assert note == (
        "learned from 3 results of study old; seed is no active parameter here and was ignored; "
        "depth had 3 values there, is no active parameter here and was ignored"
    )


def test_what_the_study_forbids_is_left_out_and_what_it_derives_is_made_anew() -> None:
    width = Parameter.model_validate({"name": "width", "expression": "layers * 8"})
    spec = a_spec(*SPACE, width, forbidden=["layers > 3"])
    learned = learn(spec, [a_study(a_result(width=99), a_result(layers=4))])
    assert [each.parameters for each in learned.observations] == [POINT | {"width": 16}]
    assert learned.notes == ("learned from 1 result of study old; 1 left out: the study forbids it",)


@pytest.mark.parametrize(
    ("source", "note"),
    [
        pytest.param(
            a_study(a_result(), objectives=[{"metric": "acc", "goal": "Minimize"}]),
            "nothing learned from study old: its objective acc is to minimize, here it is to maximize",
            id="the other goal",
        ),
        pytest.param(
            a_study(a_result(), objectives=[{"metric": "loss", "goal": "Minimize"}]),
            "nothing learned from study old: it has no objective acc (it has loss)",
            id="another objective",
        ),
        pytest.param(a_study(), "nothing learned from study old: it has no results", id="an empty study"),
        pytest.param(
            Source("study old", problem="there is no such study here"),
            "nothing learned from study old: there is no such study here",
            id="a study that does not exist",
        ),
        pytest.param(
            a_study(a_result(lr=0.9)),
            "learned from 0 results of study old; 1 left out: lr is not a number from 0.0001 to 0.1",
            id="no result inside the space",
        ),
    ],
)
def test_a_source_that_teaches_nothing_is_named_and_the_search_starts_cold(source: Source, note: str) -> None:
    learned = learn(a_spec(), [source])
    assert learned.observations == ()
    assert learned.notes == (note, "no earlier result can be used: the search starts cold")


def test_without_sources_there_is_nothing_to_say() -> None:
    assert learn(a_spec(), []) == learn(a_spec(), ())
    assert learn(a_spec(), []).notes == ()


def test_a_metric_that_was_no_objective_there_counts_by_its_last_value() -> None:
    spec = a_spec(
        objectives=[{"metric": "acc", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}],
    )
    learned = learn(spec, [a_study(a_result(0.9, {"size": 3.0}), a_result(0.8))])
    assert [each.values for each in learned.observations] == [(0.9, 3.0)]
    assert learned.notes == ("learned from 1 result of study old; 1 left out: no value of size",)


def test_infeasible_results_are_told_as_such() -> None:
    result = Earlier(POINT, infeasible=True)
    (observation,) = learn(a_spec(), [a_study(result)]).observations
    assert observation.infeasible
    assert observation.values is None


def test_a_broken_constraint_is_told_with_how_far() -> None:
    spec = a_spec(constraints=[{"metric": "size", "max": 2.0}])
    learned = learn(spec, [a_study(a_result(0.9, {"size": 3.0}), a_result(0.8, {"size": 1.0}), a_result(0.7))])
    assert [each.violation for each in learned.observations] == [0.5, 0.0]
    assert learned.notes[0].endswith("1 left out: no value of size, which has a constraint")


@pytest.mark.parametrize(
    ("constraint", "value", "excess"),
    [
        pytest.param({"max": 4}, 6.0, 0.5, id="above, in units of the bound"),
        pytest.param({"min": -4}, -6.0, 0.5, id="below, in units of the bound's size"),
        pytest.param({"max": 0}, 0.25, 0.25, id="a bound of 0 counts as 1"),
        pytest.param({"min": 1, "max": 4}, 4.0, 0.0, id="on the bound"),
        pytest.param({"max": 4}, None, 1.0, id="missing"),
    ],
)
def test_the_violation_of_a_constraint(constraint: dict[str, float], value: float | None, excess: float) -> None:
    spec = a_spec(constraints=[{"metric": "size", **constraint}])
    assert violation(spec.constraints, {} if value is None else {"size": value}) == excess


def test_differences_that_make_values_comparable_with_reservations_are_named() -> None:
    best = [{"metric": "acc", "goal": "Maximize", "summarize": "Best"}]
    (note,) = learn(a_spec(fidelity={"max": 27}), [a_study(a_result(), objectives=best, fidelity={"max": 9})]).notes
    assert note == (
        "learned from 1 result of study old; acc is the Best value there and the Last one here; "
        "trained up to 9 there and up to 27 here"
    )


def test_of_too_many_results_the_best_and_the_latest_are_used() -> None:
    results = [a_result(1.0 if index < 10 else index / 10_000) for index in range(3000)]
    learned = learn(a_spec(), [a_study(*results)])
    values = [each.values[0] for each in learned.observations if each.values is not None]
    assert len(values) == MOST
    assert values[:10] == [1.0] * 10, "the best, though they are the oldest"
    assert values[10:] == [index / 10_000 for index in range(3000 - MOST + 10, 3000)]
    assert [each.number for each in learned.observations] == [*range(-MOST, 0)]
    assert learned.notes[-1] == "of these 3000 the best 500 and the latest are used, 1000 in all"


def test_of_too_many_results_feasible_ones_go_first_and_every_objective_counts() -> None:
    both = [{"metric": "acc", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]
    spec = a_spec(objectives=both, constraints=[{"metric": "size", "max": 1e6}])
    good = [a_result(0.5 + index / 1000, {"size": 10.0 + index}) for index in range(400)]
    infeasible = [a_result(0.99, {"size": 1e7}) for _ in range(200)]
    latest = [a_result(0.1, {"size": 1000.0}) for _ in range(2000)]
    learned = learn(spec, [a_study(*infeasible, *good, *latest)])
    kept = [each for each in learned.observations if each.values is not None]
    assert sum(each.values is not None and each.values[0] >= 0.5 and not each.violation for each in kept) == 400
    assert not any(each.violation for each in kept)


def test_a_source_that_is_named_twice_counts_once() -> None:
    learned = learn(a_spec(), [a_study(a_result()), a_study(a_result(0.5), name="other"), a_study(a_result())])
    assert [each.values for each in learned.observations] == [(0.9,), (0.5,)]


def test_a_table_in_the_spec_and_the_same_in_a_config_map_teach_the_same() -> None:
    rows = [{"parameters": POINT, "values": {"acc": 0.9}}, {"parameters": POINT, "values": {"acc": 0.7}}]
    given = trials_source("the table", [EarlierTrial.model_validate(row) for row in rows])
    read = table_source("the table", json.dumps(rows), key="trials.json")
    assert learn(a_spec(), [given]) == learn(a_spec(), [read])
    assert len(learn(a_spec(), [read]).observations) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "it has no key trials.json; write it, or name another one in configMap.key", id="no key"),
        pytest.param("oops", "trials.json: Invalid JSON", id="no JSON"),
        pytest.param("{}", "trials.json: Input should be a valid array", id="no list"),
        pytest.param('[{"parameters": {}}]', "trials.json: [0].values: ", id="no values"),
        pytest.param(
            '[{"parameters": {"a": [1]}, "values": {"acc": 1}}]', "trials.json: [0].parameters.a", id="a list"
        ),
        pytest.param(
            '[{"parameters": {}, "values": {"acc": "high"}}]', "trials.json: [0].values.acc: ", id="no number"
        ),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_place(text: str | None, problem: str) -> None:
    source = table_source("ConfigMap old", text, key="trials.json")
    assert source.problem.startswith(problem)
    assert learn(a_spec(), [source]).notes[0].startswith(f"nothing learned from ConfigMap old: {problem}")


@pytest.mark.parametrize(
    ("role", "state", "infeasible", "useful"),
    [
        pytest.param(Role.SEARCH, TrialState.SUCCEEDED, False, True, id="a success"),
        pytest.param(Role.SEARCH, TrialState.FAILED, True, True, id="out of memory"),
        pytest.param(Role.SEARCH, TrialState.FAILED, False, False, id="a failure that is nobody's fault"),
        pytest.param(Role.SEARCH, TrialState.STOPPED, False, False, id="a trial that was stopped"),
        pytest.param(Role.FINAL, TrialState.SUCCEEDED, False, False, id="the final run, trained on other data"),
        pytest.param(Role.CONFIRM, TrialState.SUCCEEDED, False, False, id="a further run of one of the best"),
    ],
)
def test_which_trials_of_a_study_teach(role: Role, state: TrialState, infeasible: bool, useful: bool) -> None:
    found = earlier_result(POINT, role=role, state=state, values={"acc": 1.0}, metrics={}, infeasible=infeasible)
    assert (found is not None) is useful


def test_the_model_is_used_from_the_first_trial_on() -> None:
    spec = a_spec(a_float("x", 0, 1), algorithm={"name": "TPE"})
    rows = [Earlier({"x": index / 40}, {"acc": -abs(index / 40 - 0.3)}) for index in range(40)]
    learned = learn(spec, [Source("table", rows)])
    warm = suggest(problem(spec, study_uid="u"), history=learned.observations, running={}, number=0)
    assert isinstance(warm, Suggestion)
    assert abs(float(warm.parameters["x"]) - 0.3) < 0.15
    assert warm.known == 40


def test_points_of_earlier_studies_may_be_tried_again() -> None:
    spec = a_spec(an_int("n", 1, 3), algorithm={"name": "Grid"})
    rows = [Earlier({"n": n}, {"acc": float(n)}) for n in (1, 2, 3)]
    known = Known(compile_space(spec.parameters))
    known.learn(learn(spec, [Source("table", rows)]).observations)
    assert len(known.points) == 3
    assert len(known.seen({})) == 0


def test_auto_takes_a_model_for_few_trials_where_there_are_earlier_results() -> None:
    few = {"limits": {"trials": 5}}
    cold, warm = a_spec(**few), a_spec(**few, warmStart=[{"study": "old"}])
    names = [problem(spec, study_uid="u").choice.name for spec in (cold, warm)]
    assert names[0] is AlgorithmName.RANDOM
    assert names[1] is not AlgorithmName.RANDOM


@pytest.mark.parametrize("name", [name.value for name in ALGORITHMS])
def test_every_algorithm_begins_with_earlier_results(name: str) -> None:
    space = [a_float("x", 0, 1, step=0.01), a_float("y", 0, 1, step=0.01)]
    spec = a_spec(*space, algorithm={"name": name})
    draw = random.Random(0)
    points = [{"x": draw.randrange(101) / 100, "y": draw.randrange(101) / 100} for _ in range(60)]
    history = [
        *learn(spec, [Source("table", [Earlier(point, {"acc": -distance(point)}) for point in points])]).observations
    ]
    suggested = []
    for number in range(6):
        answer = suggest(problem(spec, study_uid="u"), history=tuple(history), running={}, number=number)
        assert isinstance(answer, Suggestion)
        assert answer.known == 60 + number
        assert answer.parent is None or answer.parent >= 0, "an earlier result is no trial"
        suggested.append(distance(answer.parameters))
        value = -distance(answer.parameters)
        history.append(Observation(number, answer.parameters, (value,), generation=answer.generation))
    if name not in ("Grid", "Random", "QuasiRandom"):
        assert fmean(suggested) < 0.55, "at random it is 0.6 to 0.7, with a first population 0.57"


def distance(point: Mapping[str, JSONScalar]) -> float:
    return abs(float(point["x"]) - 0.3) + abs(float(point["y"]) - 0.7)
