"""A training that was stopped and resumed ends with the same bits as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import tuning_trainer
from tests.unit.trainer.builders import a_config, a_session, ran
from tuning_trainer.config import TrainerConfig
from tuning_trainer.engine import evaluate
from tuning_trainer.engine.failures import CutShortError
from tuning_trainer.engine.teaching import Teaching
from tuning_trial import Report
from tuning_trial.environment import Objective

OBJECTIVES = (Objective("val_accuracy", True, 3),)
CASES: dict[str, dict[str, Any]] = {
    "adam with dropout and batch norm": {"dropout": 0.3, "norm": "batch", "optimizer": "adam"},
    "momentum with a cosine": {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "warmup": 1.0},
    "rmsprop, full batch": {"optimizer": "rmsprop", "batch_size": "full"},
    "fp16, clipped": {"precision": "fp16", "clip_norm": 1.0},
    "adagrad, patience": {"optimizer": "adagrad", "patience": 2, "lr": 1e-6},
}


def weights(directory: Path) -> dict[str, torch.Tensor]:
    newest = max(directory.glob("checkpoint-*.pt"))
    state: dict[str, torch.Tensor] = torch.load(newest, weights_only=True)["state"]["loop"]["model"]
    return state


def assert_same(one: Path, other: Path) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def train_in_pieces(config: TrainerConfig, directory: Path, *, questions: int) -> tuple[int, Report]:
    """Runs until it is done, stopping each attempt after so many steps; attempts and the last report."""
    for attempt in range(1, 100):
        code, session = ran(config, a_session(directory, stop_after=questions, objectives=OBJECTIVES))
        if code == 0:
            return attempt, session.snapshot()
        assert code == 143
        assert not session.snapshot().done
    raise AssertionError("the training never ended")


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
@pytest.mark.parametrize("questions", [3, 6])
def test_stopped_anywhere(tmp_path: Path, parameters: dict[str, Any], questions: int) -> None:
    config = a_config(epochs=4, **parameters)
    code, session = ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))
    assert code == 0
    attempts, report = train_in_pieces(config, tmp_path / "pieces", questions=questions)
    assert attempts > 1
    assert_same(tmp_path / "whole", tmp_path / "pieces")
    assert report == session.snapshot()


@pytest.mark.parametrize("questions", [7, 8, 9, 11])
def test_stopped_while_it_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, questions: int) -> None:
    """No evaluation counts twice against patience or the schedule, and none is left out."""
    monkeypatch.setattr(evaluate, "BATCH_VALUES", 20)
    owed = []

    def cut_short(evaluator: evaluate.Evaluator, *_: Any) -> dict[str, float]:
        try:
            return judge(evaluator, *_)
        except CutShortError:
            owed.append(evaluator)
            raise

    judge = evaluate.Evaluator.__call__
    monkeypatch.setattr(evaluate.Evaluator, "__call__", cut_short)
    config = a_config(epochs=6, batch_size=32, patience=3, schedule="plateau", wait=1, lr=1e-6)
    code, session = ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))
    assert code == 0
    attempts, report = train_in_pieces(config, tmp_path / "pieces", questions=questions)
    assert attempts > 1
    assert owed
    assert_same(tmp_path / "whole", tmp_path / "pieces")
    assert report == session.snapshot()


def test_a_stop_does_not_wait_for_the_evaluation_of_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "BATCH_VALUES", 4)
    cut_short = []

    def graduated(teaching: Teaching) -> None:
        try:
            graduate(teaching)
        except CutShortError:
            cut_short.append(teaching)
            raise

    graduate = Teaching._graduate
    monkeypatch.setattr(Teaching, "_graduate", graduated)
    taught = {"distill": "trained", "compress.distill.model": "linear", "distill.epochs": 1}
    config = a_config({"model": "mlp", "train": {"epochs": 2, "batch_size": "full"}}, **taught)
    assert ran(config, a_session(tmp_path / "whole"))[0] == 0
    code, session = ran(config, a_session(tmp_path / "pieces", stop_after=6))
    assert (code, session.snapshot().step) == (143, 0)
    assert cut_short
    assert ran(config, a_session(tmp_path / "pieces"))[0] == 0
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_the_test_part_is_evaluated_again_where_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "BATCH_VALUES", 8)
    config = a_config(epochs=1, batch_size="full")
    code, session = ran(config, a_session(tmp_path / "pieces", stop_after=4, role="Final"))
    assert (code, session.snapshot().done) == (143, False)
    code, session = ran(config, a_session(tmp_path / "pieces", role="Final"))
    assert code == 0
    whole = ran(config, a_session(tmp_path / "whole", role="Final"))[1]
    assert session.snapshot().final == whole.snapshot().final


def test_more_epochs_go_on_from_fewer(tmp_path: Path) -> None:
    ran(a_config(epochs=5), a_session(tmp_path / "whole"))
    for epochs in (1, 2, 5):
        assert ran(a_config(epochs=epochs), a_session(tmp_path / "pieces"))[0] == 0
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_a_finished_training_reports_again_and_trains_no_more(tmp_path: Path) -> None:
    config = a_config(epochs=2)
    first = ran(config, a_session(tmp_path))[1].snapshot()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again = ran(config, a_session(tmp_path))[1].snapshot()
    assert (again.final, again.step, again.done) == (first.final, first.step, True)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_a_damaged_newest_checkpoint_costs_only_the_work_since_the_one_before(tmp_path: Path) -> None:
    config = a_config(epochs=4, interval=0.0)
    ran(config, a_session(tmp_path / "whole"))
    ran(config, a_session(tmp_path / "damaged"))
    newest = max((tmp_path / "damaged").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:500])
    assert ran(config, a_session(tmp_path / "damaged"))[0] == 0
    assert_same(tmp_path / "whole", tmp_path / "damaged")


def start(directory: Path) -> subprocess.Popen[str]:
    settings = {
        "data": "digits",
        "model": {"name": "lenet", "dropout": 0.2, "norm": "batch"},
        "train": {"epochs": 12},
        "runtime": {"threads": 1, "device": "cpu"},
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNING_")} | {
        "PYTHONPATH": str(Path(tuning_trainer.__file__).parents[1]),
        "TUNING_TRIAL": "t",
        "TUNING_TRAINER": json.dumps(settings),
        "TUNING_PARAMETERS": '{"lr": 0.002}',
        "TUNING_CHECKPOINT_DIR": str(directory),
        "TUNING_TERMINATION_FILE": str(directory.with_suffix(".report")),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tuning_trainer"], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_a_process_ended_by_sigterm_goes_on_bit_by_bit(tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    uninterrupted, first = start(whole), start(pieces)
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("epoch 4/"):
            time.sleep(0.02)
            first.send_signal(signal.SIGTERM)
            break
    told = time.monotonic()
    first.stdout.read()
    assert first.wait(30) == 143
    assert time.monotonic() - told < 10
    assert list(pieces.glob("checkpoint-*.pt"))
    stopped = Report.parse(pieces.with_suffix(".report").read_text())
    assert 4 <= stopped.step < 12
    assert not stopped.done
    second = start(pieces)
    for process in (second, uninterrupted):
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert_same(whole, pieces)
    reports = [Report.parse(d.with_suffix(".report").read_text()) for d in (whole, pieces)]
    assert reports[0] == reports[1]
    assert reports[0].done
