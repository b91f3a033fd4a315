"""Whole runs: what they report, how well they learn, how each kind of end is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import CPU, a_config, a_final, a_session, a_trial, ran, the_data
from tuning_trainer import models
from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.layout import Layout
from tuning_trainer.engine import training as training_module
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.patience import Patience
from tuning_trainer.metrics import evaluation
from tuning_trial import Session
from tuning_trial.environment import Objective

CLASSIFICATION = {f"val_{name}" for name in evaluation.CLASSIFICATION} | {"val_loss", "train_loss"}
REGRESSION = {"val_mse", "val_mae", "val_r2", "val_loss", "train_loss"}


def the_end(config: TrainerConfig, session: Session | None = None) -> tuple[int, str, str]:
    """Exit code, reason and message of a run that fails."""
    code, session = ran(config, session)
    error = session.snapshot().error
    assert error is not None
    assert not session.snapshot().done
    return code, error.reason, error.message


def test_lenet_learns_the_digits() -> None:
    config = a_config(data="digits", model="lenet", norm="batch", lr=0.003, batch_size=32, epochs=25, schedule="cosine")
    assert ran(config)[1].snapshot().final["val_accuracy"] >= 0.98


@pytest.mark.parametrize(
    ("parameters", "metric", "least"),
    [
        pytest.param(
            {"data": "breast_cancer", "model": "mlp", "epochs": 4}, "val_auc", 0.99, id="mlp on breast cancer"
        ),
        pytest.param({"data": "wine", "model": "mlp", "epochs": 20}, "val_accuracy", 0.97, id="mlp on wine"),
        pytest.param(
            {"data": "iris", "model": "linear", "lr": 0.1, "epochs": 30}, "val_accuracy", 0.9, id="logistic on iris"
        ),
        pytest.param(
            {"data": "diabetes", "model": "linear", "optimizer": "sgd", "lr": 0.05, "epochs": 40},
            "val_r2",
            0.3,
            id="linear",
        ),
    ],
)
def test_models_learn_tables(parameters: dict[str, Any], metric: str, least: float) -> None:
    assert ran(a_config(**parameters))[1].snapshot().final[metric] >= least


@pytest.mark.parametrize(("data", "names"), [("iris", CLASSIFICATION), ("diabetes", REGRESSION)])
def test_what_is_reported(data: str, names: set[str]) -> None:
    code, session = ran(a_config(data=data, epochs=3))
    report = session.snapshot()
    assert code == 0
    assert report.final.keys() == names | {"parameters", "nonzero_parameters", "model_size_mb"}
    assert (report.step, report.steps, report.done) == (3, 3, True)


def test_evaluations_are_made_every_so_many_epochs_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    ran(a_config(epochs=7, evaluate_every=3))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["3/7", "6/7", "7/7"]


def test_the_same_seed_gives_the_same_result_and_another_another() -> None:
    one, same, other = (ran(a_config(seed=s, dropout=0.2))[1].snapshot() for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_the_bare_loop_gives_the_same_weights() -> None:
    config = a_config(data="digits", model="lenet", optimizer="sgd", lr=0.05, momentum=0.9, batch_size=100)
    trial = a_trial(config)
    data = the_data(config)
    torch.manual_seed(config.seed)
    model = models.build(config.model, layout=data.layout, outputs=data.task.outputs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)
    from tuning_trainer.engine.batches import permutation

    for epoch in range(2):
        for rows in permutation(len(data.train), seed=0, epoch=epoch).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(data.train.inputs[rows]), data.train.targets[rows]).backward()
            optimizer.step()
        trial.loop.epoch()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), trial.module.parameters(), strict=True))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_learns(precision: str) -> None:
    final = ran(a_config(data="wine", precision=precision, epochs=15))[1].snapshot().final
    assert final["val_accuracy"] > 0.9


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", ["mlp", "lenet", "cnn", "rnn", "transformer"])
def test_every_model_trains_in_mixed_precision(model: str, precision: str) -> None:
    split = {"validation": 0.05, "test": 0.9}
    config = a_config({"data": {"split": split}}, data="digits", model=model, precision=precision, epochs=1)
    code, session = ran(config)
    assert code == 0, session.snapshot().error


def test_a_loss_that_explodes_is_diverged() -> None:
    config = a_config(data="diabetes", model="linear", optimizer="sgd", lr=1000, epochs=50)
    code, reason, message = the_end(config)
    assert (code, reason) == (44, "Diverged")
    assert "the training loss is" in message
    assert "smaller learning rate" in message


def test_running_out_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # More than an address space holds: refused at once. A size that the machine might grant must never stand here.
    monkeypatch.setattr(training_module.models, "build", lambda *a, **k: torch.empty(2**50))
    code, reason, message = the_end(a_config())
    assert (code, reason) == (43, "OutOfMemory")
    assert "a smaller batch or model may help" in message


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({"device": "cuda"}, "runtime.device is 'cuda' but this trial sees no GPU", id="no GPU"),
        pytest.param({"model": "lenet"}, "lenet needs images", id="a model that does not fit"),
        pytest.param(
            {"patience": 1, "monitor": "val_acc"}, "train.monitor is 'val_acc', which is not reported", id="monitor"
        ),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_setting_that_cannot_work_is_invalid(parameters: dict[str, Any], words: str) -> None:
    code, reason, message = the_end(a_config(**parameters))
    assert (code, reason) == (42, "InvalidSetting")
    assert words in message


def test_a_checkpoint_of_another_configuration_is_invalid(tmp_path: Path) -> None:
    ran(a_config(lr=0.1), a_session(tmp_path))
    code, reason, message = the_end(a_config(lr=0.2), a_session(tmp_path))
    assert (code, reason) == (42, "InvalidSetting")
    assert "optimizer.lr was 0.1 and is 0.2" in message


def test_an_error_nobody_foresaw_is_told_with_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module.models, "build", lambda *a, **k: 1 / 0)
    assert the_end(a_config()) == (1, "Exception", "ZeroDivisionError: division by zero")


def test_patience_ends_a_training_that_has_stopped_getting_better() -> None:
    report = ran(a_config(epochs=50, patience=2, monitor="val_accuracy", lr=1e-7))[1].snapshot()
    assert report.done
    assert report.step < 50


@pytest.mark.parametrize(
    ("objective", "values", "ends"),
    [
        pytest.param(None, [3, 2, 1, 1.5, 1.2], [False, False, False, False, True], id="val_loss falls"),
        pytest.param(
            Objective("val_loss", True), [3, 4, 5, 4, 4], [False, False, False, False, True], id="as the study"
        ),
    ],
)
def test_patience_counts_evaluations_without_a_better_value(
    objective: Objective | None, values: list[float], ends: list[bool]
) -> None:
    patience = Patience(a_config(patience=2).train, [objective] if objective else [])
    assert [patience.exhausted({"val_loss": v}) for v in values] == ends


def test_a_final_run_evaluates_the_test_part_once_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = Evaluator.__call__

    def watched(self: Evaluator, part: Any, prefix: str) -> dict[str, float]:
        calls.append(prefix)
        return real(self, part, prefix)

    monkeypatch.setattr(Evaluator, "__call__", watched)
    config = a_config(data="wine", epochs=15)
    code, session = ran(config, a_final(tmp_path))
    report = session.snapshot()
    assert code == 0
    assert calls == ["test"]
    names = {name.replace("val_", "test_") for name in CLASSIFICATION}
    assert report.final.keys() == names | {"parameters", "nonzero_parameters", "model_size_mb"}
    assert report.final["test_accuracy"] > 0.9
    assert report.artifacts.keys() == {"checkpoint", "weights", "config", "evaluation", "card", "card_json"}
    described = json.loads((tmp_path / report.artifacts["config"]).read_text())
    assert described["data"]["samples"] == {"train": 142, "validation": 0}
    model = models.build(config.model, layout=Layout(**described["layout"]), outputs=described["outputs"])
    model.load_state_dict(torch.load(tmp_path / report.artifacts["weights"], weights_only=True))
    test = the_data(config, final=True).test()
    accuracy = (model(test.inputs).argmax(1) == test.targets).float().mean()
    assert report.final["test_accuracy"] == pytest.approx(float(accuracy))


@pytest.mark.parametrize("wanted", ["None", "none", False])
def test_a_final_run_leaves_the_test_part_alone_when_told_to(tmp_path: Path, wanted: Any) -> None:
    code, session = ran(a_config(), a_final(tmp_path, final={"evaluate": wanted}))
    assert code == 0
    assert session.snapshot().final.keys() == {"train_loss"}


def test_a_search_leaves_checkpoints_only(tmp_path: Path) -> None:
    session = ran(a_config(), a_session(tmp_path))[1]
    assert [p.name for p in tmp_path.iterdir()] == [session.snapshot().artifacts["checkpoint"]]


def test_a_disk_that_is_full_costs_the_checkpoint_and_not_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, fill: object, *, key: object = None) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuning_trainer.engine.checkpoint.write", full)
    code, session = ran(a_config(), a_session(tmp_path))
    assert code == 0
    assert session.snapshot().done
    assert "No space left on device" in capsys.readouterr().err


def test_evaluation_in_pieces_is_evaluation_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = a_trial(a_config(data="breast_cancer"))
    data = the_data(a_config(data="breast_cancer"))
    whole = trial._evaluate.predict(data.train)
    monkeypatch.setattr("tuning_trainer.engine.evaluate.BATCH_VALUES", 30 * 7)
    assert torch.allclose(trial._evaluate.predict(data.train), whole, atol=1e-6)
    assert CPU.type == "cpu"
