"""The command line: settings from the environment, from a file, from arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tuning_trial
from tuning_trainer.cli import main
from tuning_trial import Report

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
