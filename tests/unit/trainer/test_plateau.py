"""The schedule on plateau against torch's ReduceLROnPlateau, and within a training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_final, a_session, a_trial, ran
from tuning_trainer.config import TrainerConfig
from tuning_trainer.config.schedule import Plateau as Settings
from tuning_trainer.optim.plateau import Plateau


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"wait": 0},
        {"wait": 2, "gamma": 0.5},
        {"wait": 1, "cooldown": 2, "floor": 0.05},
        {"wait": 1, "threshold": 0.1},
        {"wait": 1, "threshold": 0.1, "relative": False},
    ],
    ids=str,
)
def test_it_is_torchs(settings: dict[str, Any], maximize: bool) -> None:
    draw = random.Random(1)
    ours = Plateau(Settings(**settings), maximize=maximize)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if maximize else "min",
        factor=settings.get("gamma", 0.1),
        patience=settings["wait"],
        threshold=settings.get("threshold", 1e-4),
        threshold_mode="rel" if settings.get("relative", True) else "abs",
        cooldown=settings.get("cooldown", 0),
        min_lr=settings.get("floor", 0.0),
        eps=0,
    )
    factor = ours.over(None)
    for step in range(60):
        value = draw.gauss(0.5, 0.3) + (0.02 * step if maximize else -0.02 * step) * (step < 20)
        ours.take(value)
        theirs.step(value)
        assert factor(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        again = Plateau(Settings(**settings), maximize=maximize)
        again.restore(ours.state())
        assert again.over(lambda step: 0.5)(step) == factor(step) / 2


def on_plateau(**parameters: Any) -> TrainerConfig:
    """The watched metric never gets better: the rate falls at every second evaluation."""
    schedule = {"schedule": {"name": "plateau", "gamma": 0.5, "wait": 1, "threshold": 1.0}}
    return a_config(schedule, monitor="val_accuracy", epochs=8, lr=1e-6, **parameters)


def rates(trial: Any) -> list[float]:
    found = []
    for _ in range(8):
        trial._config = trial._config
        found.append(trial.loop._optimizer.param_groups[0]["lr"])
    return found


def test_the_rate_falls_with_the_metric_of_the_trial() -> None:
    trial = a_trial(on_plateau())
    trial.train()
    # The first evaluation is the best; then two a reduction: after 3, 5 and 7, of which the epochs after them learn.
    assert trial.loop._optimizer.param_groups[0]["lr"] == pytest.approx(1e-6 * 0.5**3)


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = ran(on_plateau(data="wine", dropout=0.1), a_session())[1].snapshot()
    assert ran(on_plateau(data="wine", dropout=0.1), a_session(tmp_path, stop_after=40))[0] == 143
    resumed = ran(on_plateau(data="wine", dropout=0.1), a_session(tmp_path))[1].snapshot()
    assert resumed.final == whole.final


def test_a_final_run_watches_the_training_loss(tmp_path: Path) -> None:
    assert ran(on_plateau(), a_final(tmp_path))[0] == 0
