"""Compression in a training: what each stage leaves, how it goes on after a stop, and what is refused before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran
from tuning_trainer.artifacts.compressed import load_compressed
from tuning_trainer.compress.pack import pack
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trial import Report, exit_codes
from tuning_trial.environment import Objective

MLP = {"model": {"name": "mlp", "width": 16}, "train": {"epochs": 6, "batch_size": 16}}
STAGES: dict[str, dict[str, Any]] = {
    "pruning on a ramp": {"prune.share": 0.7, "prune.epochs": 4},
    "pruning under an average": {"prune.share": 0.5, "prune.epochs": 3, "ema": 0.9},
    "channels in steps": {"channels.share": 0.5, "channels.epochs": 4, "channels.ramp": 0.5},
    "rounded in training": {"quantize.bits": 8, "quantize.epochs": 3},
    "sparse, then pruned": {"prune.l1": 0.02, "prune.share": 0.5, "prune.epochs": 2},
    "one bit": {"quantize.bits": 1, "quantize.epochs": 3},
    "everything, taught by itself": {
        "channels.share": 0.3,
        "prune.share": 0.5,
        "quantize.bits": 4,
        "quantize.epochs": 2,
        "distill": "self",
    },
    "a teacher of its own": {"distill": "trained", "compress.distill.model": "linear", "distill.epochs": 2},
}


def a_compressed(**parameters: Any) -> TrainerConfig:
    return a_config(MLP, **parameters)


def state(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(max(directory.glob("checkpoint-*.pt")), weights_only=True)["state"]
    return found


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def in_pieces(config: TrainerConfig, directory: Path, *, questions: int) -> tuple[int, Report]:
    for attempt in range(1, 200):
        code, session = ran(config, a_session(directory, stop_after=questions))
        if code == 0:
            return attempt, session.snapshot()
        assert code == exit_codes.STOPPED, session.snapshot().error
    raise AssertionError("the training never ended")


@pytest.mark.parametrize("parameters", STAGES.values(), ids=STAGES)
def test_stopped_in_any_stage_it_ends_with_the_same_bits(tmp_path: Path, parameters: dict[str, Any]) -> None:
    config = a_compressed(**parameters)
    code, session = ran(config, a_session(tmp_path / "whole"))
    assert code == 0, session.snapshot().error
    attempts, report = in_pieces(config, tmp_path / "pieces", questions=5)
    assert attempts > 3
    assert report == session.snapshot()
    whole, pieces = state(tmp_path / "whole"), state(tmp_path / "pieces")
    for part in ("model", "optimizer", "compress"):
        assert_same(whole["loop"][part], pieces["loop"][part])


def test_pruned_weights_are_zero_and_stay_it() -> None:
    config = a_compressed(**STAGES["pruning on a ramp"], optimizer="sgd", momentum=0.9, weight_decay=0.01)
    trial = a_trial(config)
    trial.train()
    weights = [p for p in trial.module.parameters() if p.dim() > 1]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros == round(0.7 * sum(w.numel() for w in weights))
    reported = trial._session.snapshot().final
    assert reported["parameters"] - reported["nonzero_parameters"] >= zeros


def test_an_average_forgets_what_was_pruned() -> None:
    trial = a_trial(a_compressed(**STAGES["pruning under an average"]))
    trial.train()
    delivered = trial._trainings[0].delivered()
    weights = [p for p in delivered.parameters() if p.dim() > 1]
    assert sum(int((w == 0).sum()) for w in weights) == round(0.5 * sum(w.numel() for w in weights))


def test_removed_channels_are_gone_from_the_tensors() -> None:
    trial = a_trial(a_compressed(**STAGES["channels in steps"]))
    trial.train()
    assert [tuple(p.shape) for p in trial.module.parameters() if p.dim() > 1] == [(8, 4), (8, 8), (3, 8)]
    assert trial._session.snapshot().final["parameters"] == 4 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3


def a_final(directory: Path, **fields: Any) -> Any:
    return a_session(directory, role="Final", **fields)


@pytest.mark.parametrize(
    "parameters",
    [STAGES["pruning under an average"], STAGES["everything, taught by itself"], {"quantize.bits": 8}],
    ids=["pruned, averaged", "everything", "8 bits after training"],
)
def test_the_export_is_the_model_that_was_judged(tmp_path: Path, parameters: dict[str, Any]) -> None:
    config = a_compressed(**parameters)
    code, session = ran(config, a_final(tmp_path))
    report = session.snapshot()
    assert code == 0, report.error
    file = tmp_path / report.artifacts["compressed"]
    assert file.stat().st_size == round(report.final["model_size_mb"] * 1e6)
    model = load_compressed(tmp_path)
    assert pack(model) == file.read_bytes()
    trial = a_trial(config, a_final(tmp_path))
    trial.resume()
    test = trial._data.test()
    correct = (model(test.inputs).argmax(dim=1) == test.targets).double().mean()
    assert float(correct) == pytest.approx(report.final["test_accuracy"])


def test_a_plain_model_leaves_no_compressed_file(tmp_path: Path) -> None:
    assert "compressed" not in ran(a_compressed(), a_final(tmp_path))[1].snapshot().artifacts


@pytest.mark.parametrize("source", ["export", "checkpoint"])
def test_a_saved_teacher_teaches(tmp_path: Path, source: str) -> None:
    teacher = a_config(MLP, epochs=8, lr=0.02)
    session = a_final(tmp_path) if source == "export" else a_session(tmp_path)
    assert ran(teacher, session)[0] == 0
    parameters = {"model": "linear", "distill": "saved", "distill.directory": str(tmp_path), "distill.weight": 1.0}
    trial = a_trial(a_config(None, **parameters, epochs=40, lr=0.05))
    trial.train()
    found = trial._trainings[0].compression
    assert found is not None
    assert found.teacher is not None
    inputs = trial._data.train.inputs
    agree = (trial.module(inputs).argmax(dim=1) == found.teacher(inputs).argmax(dim=1)).double().mean()
    assert float(agree) > 0.9


def exported_teacher(directory: Path, **parameters: Any) -> str:
    assert ran(a_config(epochs=1, **parameters), a_final(directory))[0] == 0
    return str(directory)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param("wine", ["its shape is [13]", "has [4]"], id="of other samples"),
        pytest.param("digits", ["its shape is [1, 8, 8]"], id="of images"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, data: str, words: list[str]) -> None:
    directory = exported_teacher(tmp_path, data=data, model="linear")
    code, session = ran(a_compressed(**{"distill": "saved", "distill.directory": directory}))
    error = session.snapshot().error
    assert code == exit_codes.INVALID_SETTING
    assert error is not None
    assert all(word in error.message for word in ["compress.distill.directory", "does not fit", *words])
    assert session.snapshot().step == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param(
            {"distill": "saved", "distill.directory": "/nowhere"}, ["'/nowhere'", "no directory"], id="no teacher"
        ),
        pytest.param({"distill": "saved"}, ["compress.distill.directory is missing"], id="a teacher from nowhere"),
        pytest.param({"distill": "trained"}, ["compress.distill.model is missing"], id="a teacher without a model"),
        pytest.param({"distill": "self"}, ["no stage of compression"], id="its own teacher of what"),
        pytest.param({"prune.share": 0.5, "prune.epochs": 9}, ["train.epochs is 6", "prune 9"], id="too many epochs"),
        pytest.param({"prune.share": 1.0}, ["prune.share", "less than 1"], id="nothing left"),
        pytest.param({"quantize.bits": 7}, ["quantize.bits", "7", "32, 8, 4 or 1"], id="odd bits"),
        pytest.param({"model": "rnn", "channels.share": 0.5}, ["mlp, lenet or cnn"], id="channels of an rnn"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        a_trial(a_config({"train": {"epochs": 6, "batch_size": 16}}, **parameters))
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_an_empty_directory_holds_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="holds neither an export"):
        a_trial(a_compressed(**{"distill": "saved", "distill.directory": str(tmp_path)}))


def test_epochs_cannot_change_once_a_stage_has_begun(tmp_path: Path) -> None:
    stage = {"prune.share": 0.5, "prune.epochs": 2}
    assert ran(a_compressed(**stage), a_session(tmp_path))[0] == 0
    code, session = ran(a_compressed(**stage, epochs=9), a_session(tmp_path))
    error = session.snapshot().error
    assert code == exit_codes.INVALID_SETTING
    assert error is not None
    assert "train.epochs is 9" in error.message
    assert "planned for 6 epochs" in error.message


def test_patience_waits_for_the_last_stage_and_costs_are_reported_where_it_ends() -> None:
    parameters = {"prune.share": 0.5, "prune.epochs": 4, "prune.ramp": 0.0, "patience": 1, "lr": 1e-7, "epochs": 20}
    code, session = ran(a_compressed(**parameters), a_session(objectives=(Objective("val_accuracy", True),)))
    report = session.snapshot()
    assert code == 0
    assert 17 < report.step < 20
    assert {"parameters", "model_size_mb"} <= report.final.keys()


def test_the_model_is_judged_with_rounded_numbers_from_its_stage_on(capsys: pytest.CaptureFixture[str]) -> None:
    trial = a_trial(a_compressed(**{"quantize.bits": 1, "quantize.epochs": 3}))
    trial.train()
    delivered = trial._trainings[0].delivered()
    validation = trial._data.validation
    assert validation is not None
    correct = (delivered(validation.inputs).argmax(dim=1) == validation.targets).double().mean()
    assert f"val_accuracy={float(correct):.6g}" in capsys.readouterr().out.splitlines()[-1]
    assert trial._session.snapshot().final["model_size_mb"] < 0.003
