"""Distillation against the formula of Hinton, Vinyals and Dean."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tuning_trainer.compress.distill import Distillation, soft_loss


def softened(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


def test_the_loss_by_hand() -> None:
    student, teacher, targets = [[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]], [[2.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], [0, 2]
    temperature, weight = 3.0, 0.7
    hard = soft = 0.0
    for s, t, target in zip(student, teacher, targets, strict=True):
        hard -= math.log(softened(s, 1.0)[target]) / 2
        p, q = softened(t, temperature), softened(s, temperature)
        soft += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 2
    want = (1 - weight) * hard + weight * temperature**2 * soft
    model, held = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
        held.weight.copy_(
            torch.linalg.lstsq(torch.tensor([*student, [1.0, 0, 0]]), torch.tensor([*teacher, [0.0] * 3]))[0].T
        )
    distillation = Distillation(model, functional.cross_entropy, temperature=temperature, weight=weight)
    distillation.teach(held)
    outputs = distillation.model(torch.tensor(student))
    assert float(distillation.loss(outputs, torch.tensor(targets))) == pytest.approx(want, rel=1e-4)


def test_gradients_keep_their_size_at_high_temperatures() -> None:
    """With T^2 the gradient tends to (z - v) / K, as in the paper's section 2.1, for logits of mean zero."""
    student = torch.tensor([[1.0, -1.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[2.0, 0.0, -2.0]])
    soft_loss(student, teacher, temperature=1000.0).backward()
    assert student.grad is not None
    assert torch.allclose(student.grad, (student.detach() - teacher) / 3, atol=1e-2)


def test_numbers_are_learned_by_their_squared_difference() -> None:
    distillation = Distillation(
        nn.Identity(), lambda o, t: (o.squeeze(1) - t).abs().mean(), temperature=2.0, weight=0.25
    )
    distillation.teach(nn.Linear(1, 1))
    inputs = torch.tensor([[1.0], [2.0]])
    wanted = distillation.teacher(inputs)  # type: ignore[misc]
    loss = distillation.loss(distillation.model(inputs), torch.tensor([0.0, 0.0]))
    assert torch.allclose(loss, 0.75 * inputs.mean() + 0.25 * (inputs - wanted).square().mean())


def test_without_a_teacher_nothing_changes() -> None:
    distillation = Distillation(nn.Identity(), functional.cross_entropy, temperature=2.0, weight=0.9)
    inputs, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    outputs = distillation.model(inputs)
    assert torch.equal(distillation.loss(outputs, targets), functional.cross_entropy(inputs, targets))
