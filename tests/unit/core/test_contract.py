"""What a trial is told of rungs, replicates and further runs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.local.builders import a_study, a_template, a_trial
from tuning_operator.api.trial import Role
from tuning_operator.core.contract import variables
from tuning_operator.core.model import Replicate, Rung, Study, Trial
from tuning_operator.search.types import Suggestion

FIDELITY = {"parameter": "epochs", "min": 1, "max": 9, "reduction": 3}
ASHA = {"fidelity": FIDELITY, "scheduler": {"name": "ASHA", "asha": {"mode": "Pause"}}}
PBT = {"fidelity": {"parameter": "epochs", "min": 4, "max": 10}, "scheduler": {"name": "PBT"}}


def fidelity(study: Study, trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(variables(study, trial, attempt=0)["TUNING_FIDELITY"])
    return found


def at_rung(*promoted: bool) -> Trial:
    rungs = tuple(Rung(3**i, {"loss": 1.0}, promoted=each) for i, each in enumerate(promoted))
    return replace(a_trial(), rungs=rungs)


@pytest.mark.parametrize(
    ("trial", "until"),
    [
        pytest.param(at_rung(), 1, id="a new trial ends at the first rung"),
        pytest.param(at_rung(True), 3, id="a promoted one at the next"),
        pytest.param(at_rung(True, True), 9, id="in the end at the full budget"),
    ],
)
def test_an_attempt_is_told_where_it_ends(trial: Trial, until: int) -> None:
    assert fidelity(a_study(**ASHA), trial) == {"parameter": "epochs", "max": 9, "rungs": [1, 3, 9], "until": until}


@pytest.mark.parametrize(("generation", "until"), [(0, 4), (1, 8), (2, 10)])
def test_a_generation_ends_after_its_share(generation: int, until: int) -> None:
    trial = replace(a_trial(), suggestion=Suggestion({"lr": 0.5}, "PBT", 0, generation=generation))
    assert fidelity(a_study(**PBT), trial)["until"] == until


@pytest.mark.parametrize("role", [Role.FINAL, Role.CONFIRM])
def test_after_the_search_trials_train_to_the_full_budget(role: Role) -> None:
    assert fidelity(a_study(**ASHA), a_trial(role=role))["until"] == 9


def test_the_budget_of_every_trial_is_the_full_one() -> None:
    told = variables(a_study(**ASHA), at_rung(True), attempt=1)
    assert json.loads(told["TUNING_PARAMETERS"]) == {"lr": 0.5, "epochs": 9}
    assert told["TUNING_PARAM_EPOCHS"] == "9"


def test_a_final_run_is_told_what_to_export() -> None:
    study = a_study(final={"export": ["Safetensors", "ONNX"]})
    told = json.loads(variables(study, a_trial(role=Role.FINAL), attempt=0)["TUNING_FINAL"])
    assert told == {"retrain": True, "evaluate": "Test", "export": ["Safetensors", "ONNX"]}
    assert "TUNING_FINAL" not in variables(study, a_trial(), attempt=0)


def test_each_replicate_may_be_a_fold() -> None:
    study = a_study(trial={"trainer": {"data": {"name": "digits"}}, "replicates": {"count": 3, "parameter": "fold"}})
    run = Replicate({"loss": 1.0}, {})
    told = [variables(study, replace(a_trial(), replicates=(run,) * n), attempt=0) for n in range(3)]
    assert [json.loads(each["TUNING_PARAMETERS"])["fold"] for each in told] == [0, 1, 2]


def test_without_fidelity_nothing_is_said_of_it() -> None:
    told = variables(a_study(), a_trial(), attempt=0)
    assert not {"TUNING_FIDELITY", "TUNING_REPLICATE", "TUNING_PARENT_DIR"} & told.keys()


def with_replicates(parameter: str | None) -> Study:
    replicates = {"count": 3} | ({"parameter": parameter} if parameter else {})
    return a_study(trial={"trainer": {"data": {"name": "digits"}, "seed": 40}, "replicates": replicates})


@pytest.mark.parametrize(("done", "index"), [(0, 0), (2, 2)])
def test_each_replicate_is_told_which_it_is(done: int, index: int) -> None:
    trial = replace(a_trial(), replicates=(Replicate({"loss": 1.0}),) * done)
    told = variables(with_replicates("seed"), trial, attempt=done)
    assert told["TUNING_REPLICATE"] == str(index)
    assert json.loads(told["TUNING_PARAMETERS"])["seed"] == index
    plain = variables(with_replicates(None), trial, attempt=done)
    assert plain["TUNING_REPLICATE"] == str(index)
    assert "seed" not in json.loads(plain["TUNING_PARAMETERS"])


def further_run(run: int) -> Trial:
    return replace(
        a_trial(9, role=Role.CONFIRM), suggestion=Suggestion({"lr": 0.5}, "Confirm", 0, generation=run, parent=3)
    )


@pytest.mark.parametrize(
    ("study", "replicate", "seed"),
    [
        pytest.param(with_replicates("seed"), "4", 4, id="after the replicates, by their parameter"),
        pytest.param(with_replicates(None), "4", 44, id="after the replicates, by the trainer's seed"),
        pytest.param(a_study(), "2", 2, id="after the only run of each"),
    ],
)
def test_a_further_run_has_a_fresh_seed(study: Study, replicate: str, seed: int) -> None:
    told = variables(study, further_run(1), attempt=0)
    assert told["TUNING_REPLICATE"] == replicate
    assert json.loads(told["TUNING_PARAMETERS"])["seed"] == seed


def test_a_template_gets_no_parameter_that_nobody_named() -> None:
    study = a_study(trial={"template": a_template(command=["train"])})
    told = variables(study, further_run(1), attempt=0)
    assert json.loads(told["TUNING_PARAMETERS"]) == {"lr": 0.5}
    assert told["TUNING_REPLICATE"] == "2"


def test_a_final_run_is_no_replicate_but_has_a_value_for_it() -> None:
    told = variables(with_replicates("seed"), a_trial(role=Role.FINAL), attempt=0)
    assert "TUNING_REPLICATE" not in told
    assert told["TUNING_PARAM_SEED"] == "0"
