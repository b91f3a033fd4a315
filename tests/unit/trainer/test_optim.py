"""What changes the weights, against the published formulas and torch's own steps."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.trainer.builders import a_config
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.optim import build, clip, loss, schedule
from tuning_trainer.optim.light import light_step

CASES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    "sgd with decay": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.01},
    "adagrad": {"optimizer": "adagrad", "lr": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.01, "alpha": 0.9},
    "rmsprop with momentum": {"optimizer": "rmsprop", "lr": 0.01, "momentum": 0.5},
    "adam": {"optimizer": "adam", "lr": 0.1},
    "adam with decay": {"optimizer": "adam", "lr": 0.1, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.1, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9},
}


def formula(config: TrainerConfig, gradients: list[float], weight: float) -> list[float]:
    """The weight after each step, in double precision, as the papers write it."""
    o: Any = config.optimizer
    first = second = velocity = 0.0
    path = []
    for step, gradient in enumerate(gradients, start=1):
        g = gradient
        if o.name == "adamw":
            weight -= o.lr * o.weight_decay * weight
        else:
            g += o.weight_decay * weight
        if o.name == "sgd":
            velocity = o.momentum * velocity + g
            weight -= o.lr * (g + o.momentum * velocity if o.nesterov else velocity)
        elif o.name == "adagrad":
            second += g * g
            weight -= o.lr * g / (math.sqrt(second) + o.epsilon)
        elif o.name == "rmsprop":
            second = o.alpha * second + (1 - o.alpha) * g * g
            velocity = o.momentum * velocity + g / (math.sqrt(second) + o.epsilon)
            weight -= o.lr * velocity
        else:
            first = o.beta1 * first + (1 - o.beta1) * g
            second = o.beta2 * second + (1 - o.beta2) * g * g
            unbiased = math.sqrt(second / (1 - o.beta2**step))
            weight -= o.lr * first / (1 - o.beta1**step) / (unbiased + o.epsilon)
        path.append(weight)
    return path


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_an_optimiser_follows_its_formula(parameters: dict[str, Any]) -> None:
    config = a_config(**parameters)
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    model.weight.data.fill_(0.7)
    step = light_step(build.build(config.optimizer, model))
    gradients = [0.5, -0.2, 0.9, 0.1]
    path = []
    for gradient in gradients:
        model.weight.grad = torch.tensor([[gradient]], dtype=torch.float64)
        step()
        path.append(model.weight.item())
    assert np.allclose(path, formula(config, gradients, 0.7), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_the_light_step_is_torchs_own(parameters: dict[str, Any]) -> None:
    config = a_config(**parameters)
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    theirs = copy.deepcopy(ours)
    optimizer = build.build(config.optimizer, theirs)
    step = light_step(build.build(config.optimizer, ours))
    for _ in range(3):
        inputs = torch.randn(8, 5)
        for model in (ours, theirs):
            model.zero_grad()
            model(inputs).square().sum().backward()
        step()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weight_decay_leaves_biases_and_norms_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = build.build(a_config(optimizer="adamw", weight_decay=0.5).optimizer, model)
    decays = {tuple(p.shape): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays == {(2, 2): 0.5, (2,): 0.0}


FACTORS: list[tuple[dict[str, Any], list[float]]] = [
    ({"schedule": "none"}, [1.0] * 8),
    ({"schedule": "step", "every": 2, "gamma": 0.1}, [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1]),
    ({"schedule": "exponential", "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
    ({"schedule": "cosine"}, [0.5 * (1 + math.cos(math.pi * s / 8)) for s in range(8)]),
    ({"schedule": "cosine", "floor": 0.5}, [0.75 + 0.25 * math.cos(math.pi * s / 8) for s in range(8)]),
    ({"schedule": "none", "warmup": 1}, [0.5, 1, 1, 1, 1, 1, 1, 1]),
    (
        {"schedule": "cosine", "warmup": 2},
        [0.25, 0.5, 0.75, 1, 1, *(0.5 * (1 + math.cos(math.pi * s / 4)) for s in (1, 2, 3))],
    ),
    ({"schedule": "cosine", "horizon": 2}, [0.5 * (1 + math.cos(math.pi * min(1, s / 4))) for s in range(8)]),
]


@pytest.mark.parametrize(("parameters", "wanted"), FACTORS, ids=[str(p) for p, _ in FACTORS])
def test_a_schedule_gives_the_factor_of_every_step(parameters: dict[str, Any], wanted: list[float]) -> None:
    factor = schedule.factor(a_config(**parameters).schedule, epochs=4, steps_per_epoch=2)
    assert np.allclose([1.0 if factor is None else factor(s) for s in range(8)], wanted)


def test_a_schedule_over_its_horizon_does_not_depend_on_the_budget() -> None:
    settings = a_config(schedule="cosine", horizon=27, warmup=1).schedule
    short, long = (schedule.factor(settings, epochs=e, steps_per_epoch=3) for e in (3, 27))
    assert short is not None
    assert long is not None
    assert [short(s) for s in range(9)] == [long(s) for s in range(9)]


def test_losses_are_their_formulas() -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    logs = torch.log_softmax(outputs, 1)
    picked = logs[torch.arange(6), targets]
    auto = loss.build(a_config().loss, classification=True)
    assert torch.allclose(auto(outputs, targets), -picked.mean())
    smooth = loss.build(a_config(loss="cross_entropy", label_smoothing=0.3).loss, classification=True)
    assert torch.allclose(smooth(outputs, targets), -(0.7 * picked + 0.3 * logs.mean(1)).mean())
    brier = loss.build(a_config(loss="mse").loss, classification=True)
    one_hot = functional.one_hot(targets, 3)
    assert torch.allclose(brier(outputs, targets), (torch.softmax(outputs, 1) - one_hot).square().mean())
    squared = loss.build(a_config().loss, classification=False)
    assert torch.allclose(squared(outputs[:, :1], outputs[:, 1]), (outputs[:, 0] - outputs[:, 1]).square().mean())


def test_a_loss_that_does_not_fit_the_task_is_refused() -> None:
    with pytest.raises(SettingError, match="'cross_entropy' but the data is a regression; use mse or auto"):
        loss.build(a_config(loss="cross_entropy").loss, classification=False)


def test_gradients_are_clipped_by_norm_and_then_by_value() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    clip_both = clip.build(a_config(clip_norm=1.0, clip_value=0.7).train, [weight])
    assert clip_both is not None
    clip_both()
    assert torch.allclose(weight.grad, torch.tensor([0.6, 0.7]), atol=1e-5)
    assert clip.build(a_config().train, [weight]) is None
