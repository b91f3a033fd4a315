"""The command line: settings from the environment, from a file, from arguments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tuning_trial
from tuning_trainer.cli import main
from tuning_trial import Report, exit_codes

QUICK = {"data": "iris", "train": {"epochs": 1}, "runtime": {"threads": 1, "device": "cpu"}}


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """No `TUNING_*` variables but the report's, a session not yet made, SIGTERM and the exit left alone afterwards."""
    for name in ("TUNING_TRAINER", "TUNING_PARAMETERS", "TUNING_CHECKPOINT_DIR", "TUNING_TRIAL", "TUNING_ROLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNING_TERMINATION_FILE", str(tmp_path / "report"))
    monkeypatch.setattr(tuning_trial, "_current", None)
    monkeypatch.setattr(tuning_trial.Session, "watch_end", lambda self: None)
    yield
    if tuning_trial._current is not None:
        tuning_trial._current.stop.uninstall()


def the_report(tmp_path: Path) -> Report:
    return Report.parse((tmp_path / "report").read_text())


def test_settings_and_parameters_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNING_TRAINER", json.dumps(QUICK))
    monkeypatch.setenv("TUNING_PARAMETERS", '{"epochs": 2, "optimizer": "adam", "momentum": 0.5}')
    assert main([]) == 0
    assert (the_report(tmp_path).step, the_report(tmp_path).done) == (2, True)


def test_settings_of_a_file_and_arguments_that_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("data: iris\noptimizer: {lr: 1e-3}\ntrain: {epochs: 1}\nruntime: {threads: 1, device: cpu}\n")
    monkeypatch.setenv("TUNING_PARAMETERS", '{"epochs": 2}')
    arguments = [
        "--config",
        str(file),
        "--set",
        "epochs=3",
        "--set",
        "lr=1e-2",
        "--checkpoint-dir",
        str(tmp_path / "c"),
    ]
    monkeypatch.setenv("TUNING_CHECKPOINT_DIR", "")
    assert main(arguments) == 0
    assert the_report(tmp_path).step == 3
    assert (tmp_path / "c" / the_report(tmp_path).artifacts["checkpoint"]).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "there are no settings; set TUNING_TRAINER", id="nothing"),
        pytest.param(["--set", "data=digits", "--set", "lrr=1"], "did you mean 'lr'", id="an unknown name"),
        pytest.param(["--set", "lr"], "must read NAME=VALUE", id="no value"),
        pytest.param(["--set", "lr=[1"], "the value is not YAML", id="no YAML"),
        pytest.param(["--config", "/absent.yaml"], "cannot be read", id="no file"),
        pytest.param(["--config", "/dev/null"], "must hold a mapping", id="an empty file"),
    ],
)
def test_what_is_wrong_ends_with_42_and_is_reported(tmp_path: Path, arguments: list[str], words: str) -> None:
    assert main(arguments) == 42
    error = the_report(tmp_path).error
    assert error is not None
    assert error.reason == "InvalidSetting"
    assert words in error.message


def test_a_variable_that_cannot_be_read_ends_with_42(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNING_PARAMETERS", "{")
    assert main([]) == 42
    assert "TUNING_PARAMETERS is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "starts"),
    [
        pytest.param({"PET_NNODES": "2", "PET_NPROC_PER_NODE": "2"}, True, id="a pod with two GPUs"),
        pytest.param({"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "RANK": "1"}, False, id="a pod that is a process"),
        pytest.param({"PET_NNODES": "1", "PET_NPROC_PER_NODE": "1"}, False, id="alone"),
        pytest.param({}, False, id="by hand"),
    ],
)
def test_a_pod_of_several_processes_starts_them_by_torchrun(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], starts: bool
) -> None:
    given: list[Sequence[str]] = []
    monkeypatch.setattr("tuning_trainer.engine.starting.torchrun", lambda arguments: given.append(arguments) or 143)
    monkeypatch.setenv("TUNING_TRAINER", "not JSON")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code = main(["--set", "lr=1"])
    assert (code, given) == (143, [["--set", "lr=1"]]) if starts else (code != 143 and not given)


def test_torchrun_passes_on_how_the_trainer_ended() -> None:
    variables = {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": "0"}
    paths = os.pathsep.join(str(Path(package.__file__ or "").parents[1]) for package in (tuning_trial,))
    settings = {"TUNING_TRAINER": '{"data": "iris", "optimizer": {"lr": -1}}', "PYTHONPATH": paths}
    ended = subprocess.run(
        [sys.executable, "-m", "tuning_trainer"],
        env=os.environ | variables | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == exit_codes.INVALID_SETTING, ended.stderr[-2000:]
    assert "optimizer.lr" in ended.stderr
