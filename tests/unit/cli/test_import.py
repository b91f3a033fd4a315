"""`tuning import`: an Optuna study as a table that a TuningStudy can begin with."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from tuning_operator.cli.exits import BAD_INPUT, SUCCEEDED
from tuning_operator.cli.main import main
from tuning_operator.search.sources import table_source

SPACE = {
    "lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    "layers": optuna.distributions.IntDistribution(1, 4),
    "optimizer": optuna.distributions.CategoricalDistribution(["sgd", "adam", None, True]),
}


def a_storage(directory: Path, *, trials: int = 3, names: list[str] | None = None, directions: Any = None) -> Path:
    path = directory / "old.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name="My Study", directions=directions or ["maximize"])
    if names:
        study.set_metric_names(names)
    values = [[float(index)] * len(study.directions) for index in range(trials)]
    study.add_trials([a_trial(each) for each in values])
    study.add_trial(a_trial(None, state=optuna.trial.TrialState.FAIL))
    return path


def a_trial(values: list[float] | None, optimizer: Any = "sgd", **more: Any) -> Any:
    params = {"lr": 0.01, "layers": 2, "optimizer": optimizer}
    return optuna.create_trial(params=params, distributions=SPACE, values=values, **more)


def test_the_complete_trials_become_a_config_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_storage(tmp_path)
    assert main(["import", str(path), "My Study", "--metric", "acc"]) == SUCCEEDED
    said = capsys.readouterr()
    manifest = yaml.safe_load(said.out)
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("ConfigMap", "my-study")
    source = table_source("table", manifest["data"]["trials.json"], key="trials.json")
    assert [dict(each.values) for each in source.results] == [{"acc": 0.0}, {"acc": 1.0}, {"acc": 2.0}]
    assert source.results[0].parameters == {"lr": 0.01, "layers": 2, "optimizer": "sgd"}
    assert said.err == "3 complete trials, values: acc (Maximize)\n"


def test_a_table_goes_to_a_file(tmp_path: Path) -> None:
    path = a_storage(tmp_path, names=["loss", "size"], directions=["minimize", "minimize"])
    arguments = ["import", str(path), "My Study", "--output", "table", "--to", str(tmp_path / "table.json")]
    assert main(arguments) == SUCCEEDED
    rows = json.loads((tmp_path / "table.json").read_text())
    assert rows[1]["values"] == {"loss": 1.0, "size": 1.0}


def test_of_very_many_trials_the_best_and_the_latest_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_storage(tmp_path, trials=1200, directions=["minimize"])
    assert main(["import", str(path), "My Study", "--metric", "loss", "--output", "table"]) == SUCCEEDED
    said = capsys.readouterr()
    values = [row["values"]["loss"] for row in json.loads(said.out)]
    assert values == [*range(500), *range(700, 1200)]
    assert "1000 are written" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["none.db", "x"], "none.db: cannot be read: No such file", id="no file"),
        pytest.param(["old.log", "other"], "has no study 'other'; it has: My Study", id="no such study"),
        pytest.param(["old.log", "My Study"], "write --metric NAME for each", id="values without names"),
        pytest.param(
            ["old.log", "My Study", "--metric", "a", "--metric", "b"],
            "has 1 values; write as many",
            id="too many names",
        ),
        pytest.param(["old.log", "My Study", "--metric", "a b"], "'a b' is no name of a metric", id="no name"),
        pytest.param(
            ["old.log", "My Study", "--metric", "a", "--to", "no/where"], "no/where: cannot be written", id="no folder"
        ),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_storage(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["import", *arguments]) == BAD_INPUT
    assert said in capsys.readouterr().err
