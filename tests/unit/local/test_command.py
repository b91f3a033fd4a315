import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local.builders import a_study, a_template, a_trial
from tuning_operator.api.trial import Role
from tuning_operator.core.model import Study, Trial
from tuning_operator.local.command import command_for, contract_environment, not_done_here
from tuning_operator.local.files import AttemptFiles
from tuning_operator.local.processes import Command, StartError

FILES = AttemptFiles(Path("/ledger/runs/0000"), 0)


def command(study: Study, trial: Trial | None = None, **host: str) -> Command:
    return command_for(study, trial or a_trial(), files=FILES, directory=Path("/here"), host=host, gpus=0)


def templated(bind: list[dict[str, Any]] | None = None, **container: Any) -> Study:
    return a_study(trial={"template": a_template(**container), "bind": bind or []})


def test_the_shared_trainer_runs_with_this_python_and_its_settings() -> None:
    made = command(a_study())
    assert made.argv == (sys.executable, "-m", "tuning_trainer")
    assert json.loads(made.environment["TUNING_TRAINER"]) == {"data": {"name": "digits"}}
    assert made.environment["TUNING_CHECKPOINT_DIR"] == "/ledger/runs/0000/checkpoint"
    assert made.environment["TUNING_TERMINATION_FILE"] == "/ledger/runs/0000/attempt-0.report.json"
    assert "TUNING_METRICS_PORT" not in made.environment


def test_parameters_come_typed_and_one_by_one() -> None:
    trial = a_trial(7, **{"lr": 0.5, "optimizer.name": "sgd", "deep": True})
    told = contract_environment(templated(command=["train"]), trial, files=FILES)
    assert json.loads(told["TUNING_PARAMETERS"]) == {"lr": 0.5, "optimizer.name": "sgd", "deep": True}
    assert (told["TUNING_PARAM_OPTIMIZER_NAME"], told["TUNING_PARAM_DEEP"]) == ("sgd", "true")
    assert "TUNING_FINAL" not in told


def test_the_shared_trainer_gets_only_the_parameters_that_are_its_settings() -> None:
    told = contract_environment(a_study(), a_trial(7, lr=0.5, gpus=2), files=FILES)
    assert json.loads(told["TUNING_PARAMETERS"]) == {"lr": 0.5}
    assert told["TUNING_PARAM_GPUS"] == "2"


def test_the_final_run_is_told_what_to_do_at_the_end() -> None:
    study = a_study(final={"retrain": True})
    told = contract_environment(study, a_trial(4, role=Role.FINAL), files=FILES)
    assert json.loads(told["TUNING_FINAL"])["evaluate"] == "Test"


def test_a_template_gives_command_arguments_and_environment() -> None:
    env = [{"name": "RATE", "value": "$(TUNING_PARAM_LR)"}, {"name": "AGAIN", "value": "<$(RATE)>"}]
    made = command(templated(command=["train"], args=["--lr=$(RATE)", "$(HOME)", "$(OTHER)"], env=env), HOME="/me")
    assert made.argv == ("train", "--lr=0.5", "$(HOME)", "$(OTHER)")
    assert (made.environment["RATE"], made.environment["AGAIN"], made.environment["HOME"]) == ("0.5", "<0.5>", "/me")


def test_what_is_left_of_an_outer_trial_does_not_reach_an_inner_one() -> None:
    made = command(templated(command=["train"]), TUNING_TRAINER="{}", TUNING_FINAL="{}")
    assert not {"TUNING_TRAINER", "TUNING_FINAL"} & made.environment.keys()


@pytest.mark.parametrize(
    ("to", "where"),
    [
        pytest.param("/spec/template/spec/containers/0/args/0", "argument", id="an argument"),
        pytest.param("/spec/template/spec/containers/0/env/0/value", "variable", id="a variable"),
    ],
)
def test_a_parameter_fills_the_field_it_is_bound_to(to: str, where: str) -> None:
    container = {"command": ["train"], "args": ["-"], "env": [{"name": "LR", "value": "-"}]}
    made = command(templated([{"parameter": "lr", "to": to}], **container))
    assert {"argument": made.argv[1], "variable": made.environment["LR"]}[where] == "0.5"


def test_resources_and_nodes_are_left_to_the_cluster() -> None:
    bind = [{"parameter": "lr", "to": "/spec/template/spec/containers/0/resources/limits/memory"}]
    assert command(templated(bind, command=["train"])).argv == ("train",)


@pytest.mark.parametrize(
    ("container", "bind", "says"),
    [
        pytest.param({}, [], "write the image's command there", id="no command"),
        pytest.param(
            {"command": ["a"], "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {}}}]},
            [],
            "set it yourself: KEY=",
            id="a secret of the cluster",
        ),
        pytest.param(
            {"command": ["a"]},
            [{"parameter": "lr", "to": "/spec/template/spec/containers/3/name"}],
            "the list has 1 entries",
            id="a binding to a container that is not there",
        ),
    ],
)
def test_what_cannot_start_here_says_what_to_write(
    container: dict[str, Any], bind: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(StartError, match=says):
        command(templated(bind, **container))


def test_a_secret_comes_from_the_caller_s_environment() -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    assert command(templated(command=["a"], env=env), KEY="mine").environment["KEY"] == "mine"


def test_a_person_is_told_what_a_local_run_leaves_out() -> None:
    template = a_template(command=["a"])
    template["spec"]["template"]["spec"]["initContainers"] = [{"name": "fetch"}]
    assert not_done_here(a_study(trial={"template": template}).spec) == [
        "initContainers of the template are not run locally"
    ]


def test_a_sidecar_that_a_port_asks_for_is_said_to_be_left_out() -> None:
    spec = a_study(trial={"template": a_template(ports=[{"name": "metrics", "containerPort": 8000}])}).spec
    assert not_done_here(spec) == [
        "no sidecar reads the trial's metrics locally: only a report that the trial writes counts"
    ]
