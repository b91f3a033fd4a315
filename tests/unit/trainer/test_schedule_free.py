"""Schedule-free optimisers: the paper's formula, the average where it is judged, and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config, a_final, a_session, a_trial, ran
from tuning_trainer.config import SettingError
from tuning_trainer.optim.build import build
from tuning_trainer.optim.schedule_free import ScheduleFree

NAMES = ("schedule_free_sgd", "schedule_free_adamw")


def test_sgd_is_the_papers() -> None:
    """z' = z - lr g(y);  x' = (1 - c) x + c z', c = 1 / t;  y' = (1 - beta) z' + beta x'."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1, bias=False).double()
    inputs, targets = torch.randn(7, 3).double(), torch.randn(7, 1).double()
    config = a_config(optimizer="schedule_free_sgd", lr=0.1, momentum=0.8)
    optimizer = build(config.optimizer, model)
    average = ScheduleFree(optimizer)
    x = z = y = model.weight.detach().clone()
    for t in range(1, 8):
        point = y.clone().requires_grad_()
        ((inputs @ point.T - targets) ** 2).mean().backward()
        assert point.grad is not None
        z = z - 0.1 * point.grad
        x = (1 - 1 / t) * x + z / t
        y = (1 - 0.8) * z + 0.8 * x
        model.zero_grad()
        ((model(inputs) - targets) ** 2).mean().backward()
        optimizer.step()
        average.update()
        torch.testing.assert_close(model.weight.detach(), y, atol=1e-12, rtol=0)
        with average.in_place():
            torch.testing.assert_close(model.weight.detach(), x, atol=1e-12, rtol=0)


def test_judging_changes_nothing_bit_by_bit() -> None:
    trial = a_trial(a_config(optimizer="schedule_free_adamw", epochs=3))
    trial.loop.epoch()
    before = [weight.detach().clone() for weight in trial.module.parameters()]
    with trial._trainings[0].judged():
        inside = [weight.detach().clone() for weight in trial.module.parameters()]
    assert not all(torch.equal(a, b) for a, b in zip(before, inside, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, trial.module.parameters(), strict=True))
    trial.loop.epoch()


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name: str) -> None:
    assert ran(a_config(data="wine", optimizer=name, epochs=20))[1].snapshot().final["val_accuracy"] >= 0.97


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_training_is_the_same_bit_by_bit(tmp_path: Path, name: str) -> None:
    parameters: dict[str, Any] = {"optimizer": name, "epochs": 5, "warmup": 1.0, "dropout": 0.1}
    whole = ran(a_config(**parameters))[1].snapshot()
    assert ran(a_config(**parameters), a_session(tmp_path, stop_after=17))[0] == 143
    assert ran(a_config(**parameters), a_session(tmp_path))[1].snapshot().final == whole.final


def test_the_average_is_what_is_exported(tmp_path: Path) -> None:
    config = a_config(optimizer="schedule_free_sgd", epochs=3)
    trial = a_trial(config, a_final(tmp_path))
    trial.train()
    trial.conclude()
    exported = torch.load(tmp_path / "model.pt", weights_only=True)
    with trial._trainings[0].judged():
        assert all(torch.equal(value, exported[name]) for name, value in trial.module.state_dict().items())
    assert not torch.equal(exported["1.weight"], trial.module.state_dict()["1.weight"])


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param(
            {"schedule": "cosine"}, "schedule.name is 'cosine' but optimizer schedule_free_sgd needs no", id="s"
        ),
        pytest.param({"ema": 0.9}, "train.ema is 0.9 but optimizer schedule_free_sgd averages by itself", id="average"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        a_trial(a_config(optimizer="schedule_free_sgd", **parameters))
