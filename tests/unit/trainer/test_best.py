"""The best weights are what is left at the end, whatever stands in the model last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tuning_trainer import models
from tuning_trainer.config import TrainerConfig
from tuning_trial import Session
from tuning_trial.environment import Objective


def wild(**parameters: Any) -> TrainerConfig:
    """A rate so high that the metric goes up and down."""
    chosen = {"data": "wine", "lr": 0.3, "epochs": 6, "batch_size": 32, "seed": 3}
    return a_config({"export": {"always": True}}, **(chosen | parameters))


def curve(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "curve.jsonl").read_text().splitlines()]


def a_trial_of_a_study(directory: Path, **fields: Any) -> Session:
    return a_session(directory, trial="s-0", **fields)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"ema": 0.5}, {"optimizer": "schedule_free_adamw"}],
    ids=["weights", "with an average", "schedule-free"],
)
def test_the_best_is_reported_and_exported(tmp_path: Path, parameters: dict[str, Any]) -> None:
    # With this goal the first evaluation is the best one: whatever is left must not be the last one.
    worst_is_best = (Objective("val_loss", maximize=True),)
    config = wild(restore_best=True, lr=0.003, **parameters)
    code, session = ran(config, a_trial_of_a_study(tmp_path, objectives=worst_is_best))
    assert code == 0
    values = [line["val_loss"] for line in curve(tmp_path)[:6]]
    assert values[0] == max(values) > values[-1]
    assert session.snapshot().final["val_loss"] == values[0]
    assert session.snapshot().step == 6
    data = the_data(config)
    model = models.build(config.model, layout=data.layout, outputs=data.task.outputs)
    model.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert data.validation is not None
    with torch.no_grad():
        outputs = model.eval()(data.validation.inputs)
    loss = float(torch.nn.functional.cross_entropy(outputs, data.validation.targets))
    assert loss == pytest.approx(values[0], rel=1e-5)


def test_the_best_by_the_studys_objective() -> None:
    objective = (Objective("val_calibration_error", maximize=True),)
    trial = a_trial(wild(restore_best=True, epochs=4), a_session(objectives=objective))
    seen = []
    real = trial._best.take  # type: ignore[union-attr]
    trial._best.take = lambda metrics: (seen.append(metrics["val_calibration_error"]), real(metrics))  # type: ignore
    trial.train()
    trial.conclude()
    assert trial._session.snapshot().final["val_calibration_error"] == max(seen)


def test_a_resumed_training_knows_the_best_from_before(tmp_path: Path) -> None:
    whole = ran(wild(restore_best=True), a_session(tmp_path / "whole"))[1].snapshot()
    for stop_after in (13, 20):
        directory = tmp_path / str(stop_after)
        assert ran(wild(restore_best=True), a_session(directory, stop_after=stop_after))[0] == 143
        assert ran(wild(restore_best=True), a_session(directory))[1].snapshot().final == whole.final
    assert ran(wild(restore_best=True), a_session(tmp_path / "whole"))[1].snapshot().final == whole.final


def test_early_stopping_ends_with_the_best(tmp_path: Path) -> None:
    code, session = ran(wild(restore_best=True, patience=2, epochs=60), a_trial_of_a_study(tmp_path))
    report = session.snapshot()
    assert code == 0
    assert report.step < 60
    assert report.final["val_loss"] == min(line["val_loss"] for line in curve(tmp_path))
