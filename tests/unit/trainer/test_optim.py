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
from tuning_trainer.optim import build, gradients, loss, schedule
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
    "nadam": {"optimizer": "nadam", "lr": 0.1, "beta1": 0.8},
    "nadam with decay": {"optimizer": "nadam", "lr": 0.1, "weight_decay": 0.1},
    "lion": {"optimizer": "lion", "lr": 0.01, "beta1": 0.8, "beta2": 0.7},
    "lion with decay": {"optimizer": "lion", "lr": 0.01, "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "lr": 0.1, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9},
}


def formula(config: TrainerConfig, gradients: list[float], weight: float) -> list[float]:
    """The weight after each step, in double precision, as the papers write it."""
    o: Any = config.optimizer
    first = second = velocity = 0.0
    product = 1.0
    path = []
    for step, gradient in enumerate(gradients, start=1):
        g = gradient
        if o.name in ("adamw", "nadam", "lion"):
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
        elif o.name == "lion":
            weight -= o.lr * math.copysign(1.0, o.beta1 * first + (1 - o.beta1) * g)
            first = o.beta2 * first + (1 - o.beta2) * g
        elif o.name == "nadam":
            now, then = (o.beta1 * (1 - 0.5 * 0.96 ** (t * o.momentum_decay)) for t in (step, step + 1))
            product *= now
            first = o.beta1 * first + (1 - o.beta1) * g
            second = o.beta2 * second + (1 - o.beta2) * g * g
            ahead = then * first / (1 - product * then) + (1 - now) * g / (1 - product)
            weight -= o.lr * ahead / (math.sqrt(second / (1 - o.beta2**step)) + o.epsilon)
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
    # torch keeps the product of NAdam's momenta in single precision.
    rtol = 1e-8 if config.optimizer.name == "nadam" else 1e-9
    assert np.allclose(path, formula(config, gradients, 0.7), rtol=rtol, atol=1e-12)


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
    ({"schedule": "polynomial"}, [1 - s / 8 for s in range(8)]),
    ({"schedule": "polynomial", "power": 2, "floor": 0.1}, [0.1 + 0.9 * (1 - s / 8) ** 2 for s in range(8)]),
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
    auto = loss.for_classes(a_config().loss, counts=(2, 2, 2))
    assert torch.allclose(auto(outputs, targets), -picked.mean())
    smooth = loss.for_classes(a_config(loss="cross_entropy", label_smoothing=0.3).loss, counts=(2, 2, 2))
    assert torch.allclose(smooth(outputs, targets), -(0.7 * picked + 0.3 * logs.mean(1)).mean())
    brier = loss.for_classes(a_config(loss="mse").loss, counts=(2, 2, 2))
    one_hot = functional.one_hot(targets, 3)
    assert torch.allclose(brier(outputs, targets), (torch.softmax(outputs, 1) - one_hot).square().mean())
    squared = loss.for_numbers(a_config().loss)
    assert torch.allclose(squared(outputs[:, :1], outputs[:, 1]), (outputs[:, 0] - outputs[:, 1]).square().mean())


def test_a_loss_that_does_not_fit_the_task_is_refused() -> None:
    with pytest.raises(SettingError, match="'cross_entropy' but the data is a regression; use mse, mae, huber or auto"):
        loss.for_numbers(a_config(loss="cross_entropy").loss)


def test_gradients_are_clipped_by_norm_and_then_by_value() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    clip_both = gradients.build(a_config(clip_norm=1.0, clip_value=0.7).train, [weight])
    assert clip_both is not None
    clip_both()
    assert torch.allclose(weight.grad, torch.tensor([0.6, 0.7]), atol=1e-5)
    assert gradients.build(a_config().train, [weight]) is None


@pytest.mark.parametrize(("rise", "start", "floor"), [(0.3, 0.04, 4e-6), (0.5, 0.1, 0.01)])
def test_one_cycle_is_torchs(rise: float, start: float, floor: float) -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=40,
        cycle_momentum=False,
        pct_start=rise,
        div_factor=1 / start,
        final_div_factor=start / floor,
    )
    config = a_config(schedule="one_cycle", rise=rise, start=start, floor=floor)
    ours = schedule.factor(config.schedule, epochs=4, steps_per_epoch=10)
    assert ours is not None
    for step in range(40):
        assert math.isclose(ours(step), optimizer.param_groups[0]["lr"], rel_tol=1e-9), step
        optimizer.step()
        if step < 39:
            theirs.step()


def test_losses_for_numbers_are_their_formulas() -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(50, 1) * 3, torch.randn(50)
    error = (outputs[:, 0] - targets).abs()
    mae = loss.for_numbers(a_config(loss="mae").loss)
    assert torch.allclose(mae(outputs, targets), error.mean())
    huber = loss.for_numbers(a_config(loss="huber", delta=0.5).loss)
    wanted = torch.where(error <= 0.5, 0.5 * error.square(), 0.5 * (error - 0.25))
    assert torch.allclose(huber(outputs, targets), wanted.mean())


def test_focal_loss_is_its_formula_and_cross_entropy_without_focus() -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(12, 3), torch.randint(0, 3, (12,))
    picked = torch.softmax(outputs, 1)[torch.arange(12), targets]
    focal = loss.for_classes(a_config(loss="focal", focus=3.0).loss, counts=(4, 4, 4))
    assert torch.allclose(focal(outputs, targets), -((1 - picked) ** 3 * picked.log()).mean())
    plain = loss.for_classes(a_config(loss="focal", focus=0.0, class_weights="balanced").loss, counts=(1, 2, 9))
    weights = torch.tensor([12 / 3, 12 / 6, 12 / 27])
    assert torch.allclose(plain(outputs, targets), functional.cross_entropy(outputs, targets, weight=weights))


def test_balanced_classes_count_alike() -> None:
    outputs, targets = torch.zeros(10, 2), torch.tensor([0] * 9 + [1])
    outputs[:, 0] = 2.0
    balanced = loss.for_classes(a_config(loss="cross_entropy", class_weights="balanced").loss, counts=(9, 1))
    each = functional.cross_entropy(outputs, targets, reduction="none")
    assert torch.allclose(balanced(outputs, targets), (each[:9].mean() + each[9]) / 2)


def test_binary_cross_entropy_is_its_formula() -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(8, 2), torch.randint(0, 2, (8,))
    binary = loss.for_classes(a_config(loss="binary_cross_entropy", label_smoothing=0.2).loss, counts=(4, 4))
    wanted = functional.one_hot(targets, 2) * 0.8 + 0.1
    chance = torch.sigmoid(outputs)
    assert torch.allclose(binary(outputs, targets), -(wanted * chance.log() + (1 - wanted) * (1 - chance).log()).mean())


@pytest.mark.parametrize("name", ["mae", "huber"])
def test_a_loss_for_numbers_is_refused_for_classes(name: str) -> None:
    with pytest.raises(SettingError, match="but the data has classes; use cross_entropy, focal, mse or auto"):
        loss.for_classes(a_config(loss=name).loss, counts=(1, 1))


def test_the_l1_penalty_adds_its_sign_to_weights_but_not_to_biases() -> None:
    weight, bias = nn.Parameter(torch.tensor([[2.0, -3.0, 0.0]])), nn.Parameter(torch.tensor([5.0]))
    weight.grad, bias.grad = torch.ones(1, 3), torch.ones(1)
    penalize = gradients.build(a_config(l1=0.25).train, [weight, bias])
    assert penalize is not None
    penalize()
    assert weight.grad.tolist() == [[1.25, 0.75, 1.0]]
    assert bias.grad.tolist() == [1.0]


def test_rates_fall_from_layer_to_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = build.build(a_config(optimizer="adamw", lr=0.8, layer_decay=0.5, weight_decay=0.1).optimizer, model)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = [rates[id(p)] for p in model.parameters()]
    assert np.allclose(found, [0.2, 0.2, 0.2, 0.2, 0.4, 0.4, 0.8, 0.8])


def test_muon_has_the_hidden_matrices_and_adamw_the_rest() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 2))
    theirs = copy.deepcopy(ours)
    settings = a_config(optimizer="muon", lr=0.05, weight_decay=0.1, other_lr=0.01).optimizer
    both = build.build(settings, ours)
    hidden = [theirs[0].weight, theirs[1].weight]
    others = [p for p in theirs.parameters() if not any(p is each for each in hidden)]
    muon = torch.optim.Muon(hidden, lr=0.05, weight_decay=0.1, momentum=0.95, nesterov=True)
    adamw = torch.optim.AdamW(
        [
            {"params": [p for p in others if p.dim() == 1], "weight_decay": 0.0},
            {"params": [p for p in others if p.dim() == 2], "weight_decay": 0.1},
        ],
        lr=0.01,
    )
    for turn in range(4):
        inputs = torch.randn(8, 6)
        for model in (ours, theirs):
            model.zero_grad()
            model(inputs).square().mean().backward()
        both.step()
        muon.step()
        adamw.step()
        if turn == 1:  # half way through it goes on from its saved state
            state = copy.deepcopy(both.state_dict())
            both = build.build(settings, ours)
            both.load_state_dict(state)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_model_without_hidden_matrices_is_trained_by_adamw_alone() -> None:
    optimizer = build.build(a_config(optimizer="muon").optimizer, nn.Linear(3, 2))
    assert type(optimizer) is torch.optim.AdamW


def test_every_optimiser_learns() -> None:
    for name in ("sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam", "lion", "muon"):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        step = light_step(optimizer := build.build(a_config(optimizer=name, lr=0.01).optimizer, model))
        inputs = torch.randn(64, 4)
        wanted = inputs[:, :1] * 2 - inputs[:, 1:2]
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            error = (model(inputs) - wanted).square().mean()
            error.backward()
            step()
            losses.append(error.item())
        assert losses[-1] < 0.7 * losses[0], name
