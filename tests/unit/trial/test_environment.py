"""The `TUNING_*` variables as a trial reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tuning_trial.environment import Environment, Fidelity, Objective, VariableError


def test_without_any_variable_there_is_a_trial_all_the_same() -> None:
    assert Environment.read({}) == Environment()


def test_all_variables() -> None:
    environment = Environment.read(
        {
            "TUNING_STUDY": "s",
            "TUNING_TRIAL": "s-3",
            "TUNING_TRIAL_NUMBER": "3",
            "TUNING_ATTEMPT": "1",
            "TUNING_ROLE": "Final",
            "TUNING_PARAMETERS": '{"lr": 0.1}',
            "TUNING_TRAINER": '{"data": "digits"}',
            "TUNING_FINAL": '{"evaluate": "test"}',
            "TUNING_OBJECTIVES": json.dumps(
                [
                    {"metric": "a", "goal": "Minimize"},
                    {"metric": "b", "goal": "Maximize", "summarize": "Mean", "window": 5},
                    {"metric": "c", "summarize": "Best"},
                ]
            ),
            "TUNING_FIDELITY": '{"parameter":"epochs","max":27,"rungs":[1,3,9,27],"until":9}',
            "TUNING_REPLICATE": "2",
            "TUNING_CHECKPOINT_DIR": "/c",
            "TUNING_PARENT_DIR": "/p",
            "TUNING_METRICS_PORT": "9100",
            "TUNING_TERMINATION_FILE": "/t",
        }
    )
    assert (environment.number, environment.attempt, environment.role) == (3, 1, "Final")
    assert environment.objectives == (
        Objective("a", False),
        Objective("b", True, 5),
        Objective("c", True, best_counts=True),
    )
    assert environment.fidelity == Fidelity(max=27, until=9, rungs=(1, 3, 9, 27), parameter="epochs")
    assert environment.fidelity.pauses
    assert (environment.replicate, environment.parent_dir) == (2, Path("/p"))
    assert (environment.checkpoint_dir, environment.termination_file) == (Path("/c"), Path("/t"))
    assert environment.metrics_port == 9100


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TUNING_ATTEMPT", "first", "TUNING_ATTEMPT is 'first'"),
        ("TUNING_METRICS_PORT", "-1", "TUNING_METRICS_PORT is '-1'"),
        ("TUNING_PARAMETERS", "{lr: 1}", "TUNING_PARAMETERS is not JSON"),
        ("TUNING_PARAMETERS", "[1]", "must be a JSON object"),
        ("TUNING_OBJECTIVES", "{}", "must be a JSON list"),
        ("TUNING_REPLICATE", "one", "TUNING_REPLICATE is 'one'"),
        ("TUNING_FIDELITY", "27", "TUNING_FIDELITY is '27'"),
        ("TUNING_FIDELITY", "{}", "TUNING_FIDELITY: max is 'None'"),
        ("TUNING_FIDELITY", '{"max": 0}', "TUNING_FIDELITY: max is '0'"),
        ("TUNING_FIDELITY", '{"max": 9, "until": 27}', "until is 27; it must be at most max, 9"),
        ("TUNING_FIDELITY", '{"max": 9, "until": "9"}', "TUNING_FIDELITY: until is '9'"),
        ("TUNING_FIDELITY", '{"max": 9, "rungs": 3}', "rungs is '3'; it must be a list"),
        ("TUNING_FIDELITY", '{"max": 9, "rungs": [true]}', "TUNING_FIDELITY: rungs is 'True'"),
        ("TUNING_FIDELITY", '{"max": 9, "rungs": [3, 1, 9]}', "the budgets must rise"),
        ("TUNING_FIDELITY", '{"max": 9, "rungs": [3, 27]}', "the budgets must rise, to at most max, 9"),
        ("TUNING_FIDELITY", '{"max": 9, "parameter": 1}', "parameter is '1'"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(VariableError) as refused:
        Environment.read({name: value})
    assert words in str(refused.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Environment.read({"TUNING_PARAMETERS": "", "TUNING_METRICS_PORT": ""}) == Environment()


@pytest.mark.parametrize(("rank", "main"), [("", True), ("0", True), ("3", False)])
def test_only_the_first_of_several_processes_reports(tmp_path: Path, rank: str, main: bool) -> None:
    told = {"RANK": rank, "TUNING_METRICS_PORT": "9090", "TUNING_TERMINATION_FILE": str(tmp_path / "report")}
    environment = Environment.read(told)
    assert environment.main == main
    assert (environment.metrics_port is not None, environment.termination_file is not None) == (main, main)
