"""Distillation (Hinton, Vinyals and Dean, 2015): a student learns from the outputs of a teacher beside the targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.optim.loss import LossFunction


def soft_loss(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """T^2 times the divergence of the student's softened classes from the teacher's, the mean over samples; outputs are
    [N, K] or [N, T, K]. With the factor its gradient keeps its size whatever the temperature.
    """
    wanted = torch.log_softmax(teacher / temperature, dim=-1).flatten(0, -2)
    given = torch.log_softmax(student / temperature, dim=-1).flatten(0, -2)
    return functional.kl_div(given, wanted, log_target=True, reduction="batchmean") * temperature**2


class Distillation:
    """A teacher at a student's side: `model` in the place of the student, `loss` in the place of its loss.

    The teacher sees the same batch, in evaluation mode and without gradients. While there is no teacher, nothing is
    changed.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], loss: LossFunction, *, temperature: float, weight: float
    ) -> None:
        self._student = model
        self._loss = loss
        self._temperature = temperature
        self._weight = weight
        self._inputs: Tensor | None = None
        self.teacher: nn.Module | None = None

    def teach(self, teacher: nn.Module | None) -> None:
        """Takes `teacher` from now on; None: nobody."""
        self.teacher = None if teacher is None else teacher.requires_grad_(False).eval()

    def model(self, inputs: Tensor) -> Tensor:
        """The student's outputs."""
        self._inputs = inputs
        return self._student(inputs)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(1 - weight) of the loss of the targets and `weight` of the teacher's; of numbers the latter is the squared
        difference.
        """
        hard = self._loss(outputs, targets)
        if self.teacher is None or self._inputs is None:
            return hard
        with torch.no_grad():
            wanted = self.teacher(self._inputs)
        if outputs.shape[-1] == 1:
            soft = functional.mse_loss(outputs, wanted)
        else:
            soft = soft_loss(outputs, wanted, temperature=self._temperature)
        return (1 - self._weight) * hard + self._weight * soft
