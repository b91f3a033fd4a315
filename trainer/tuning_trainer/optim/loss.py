"""The loss as a function of the model's outputs and the targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tuning_trainer.config import loss as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.optim.weighted import WeightedMean

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Outputs [N, K] and targets [N], or shares of the classes [N, K] -> mean loss of the batch, a scalar."""

_FOR_CLASSES = (settings.CrossEntropy, settings.BinaryCrossEntropy, settings.Focal)
_FOR_NUMBERS = (settings.MeanAbsoluteError, settings.Huber)
_FOR_RANKING = (settings.Bpr,)


def for_classes(loss: settings.Loss, *, counts: Sequence[int]) -> LossFunction:
    """The loss of a classification; `counts` are the training samples of each class. Raises `SettingError` when the
    loss does not fit.
    """
    if isinstance(loss, (*_FOR_NUMBERS, *_FOR_RANKING)):
        raise SettingError(
            f"loss.name is {loss.name!r} but the data has classes; use cross_entropy, focal, mse or auto"
        )
    match loss:
        case settings.CrossEntropy():
            weights, smoothing = _Weights(loss.class_weights, counts), loss.label_smoothing
            return weights.of(
                lambda outputs, targets: functional.cross_entropy(
                    outputs, targets, weight=weights.on(outputs), label_smoothing=smoothing
                )
            )
        case settings.BinaryCrossEntropy():
            return _one_against_all(loss.label_smoothing)
        case settings.Focal():
            weights = _Weights(loss.class_weights, counts)
            return weights.of(_focal(loss.focus, weights))
        case settings.MeanSquaredError():
            return _brier
        case _:
            return functional.cross_entropy


def for_numbers(loss: settings.Loss) -> LossFunction:
    """The loss of a regression. Raises `SettingError` when the loss does not fit."""
    if isinstance(loss, (*_FOR_CLASSES, *_FOR_RANKING)):
        raise SettingError(f"loss.name is {loss.name!r} but the data is a regression; use mse, mae, huber or auto")
    match loss:
        case settings.MeanAbsoluteError():
            return lambda outputs, targets: functional.l1_loss(outputs.squeeze(1), targets)
        case settings.Huber():
            delta = loss.delta
            return lambda outputs, targets: functional.huber_loss(outputs.squeeze(1), targets, delta=delta)
        case _:
            return _squared_error


IGNORED = -100
"""A target that does not count, in a sequence of tokens."""


def of_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits [N, T, V] for tokens [N, T]."""
    return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def for_tokens(loss: settings.Loss) -> LossFunction:
    """The loss of a language model. Raises `SettingError` when the loss does not fit."""
    match loss:
        case settings.AutoLoss():
            return of_tokens
        case settings.CrossEntropy():
            if loss.class_weights != "none":
                raise SettingError(f"loss.class_weights is {loss.class_weights!r}, which tokens do not have; use none")
            smoothing = loss.label_smoothing
            if not smoothing:
                return of_tokens
            return lambda outputs, targets: functional.cross_entropy(
                outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
            )
    raise SettingError(f"loss.name is {loss.name!r} but the data is a language; use cross_entropy or auto")


class _Weights:
    """Weights of the classes, [K], where the outputs are; None where all count alike. Their mean over the training
    samples is 1.
    """

    def __init__(self, kind: settings.ClassWeights, counts: Sequence[int]) -> None:
        self._weights = None
        if kind == "balanced":
            self._weights = torch.tensor([sum(counts) / (len(counts) * max(1, count)) for count in counts])

    def on(self, outputs: Tensor) -> Tensor | None:
        if self._weights is not None and self._weights.device != outputs.device:
            self._weights = self._weights.to(outputs.device)
        return None if self._weights is None else self._weights.to(outputs.dtype)

    def of(self, loss: LossFunction) -> LossFunction:
        """`loss`, which is weighted by these, in a form that knows it. Means over shares of classes are plain ones."""
        known = self._weights
        if known is None:
            return loss
        return WeightedMean(loss, lambda t: len(t) if t.dim() == 2 else known.to(t.device)[t].sum())


def _focal(gamma: float, weights: _Weights) -> LossFunction:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        logs = torch.log_softmax(outputs, dim=1)
        scale = weights.on(outputs)
        if targets.dim() == 2:
            each = -((1 - logs.exp()) ** gamma) * logs * targets
            return (each if scale is None else each * scale).sum(dim=1).mean()
        logs = logs.gather(1, targets[:, None]).squeeze(1)
        values = -((1 - logs.exp()) ** gamma) * logs
        if scale is None:
            return values.mean()
        chosen = scale[targets]
        return (values * chosen).sum() / chosen.sum()

    return loss


def _one_against_all(smoothing: float) -> LossFunction:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = _shares(targets, outputs)
        return functional.binary_cross_entropy_with_logits(outputs, wanted * (1 - smoothing) + 0.5 * smoothing)

    return loss


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(outputs.squeeze(1), targets)


def _brier(outputs: Tensor, targets: Tensor) -> Tensor:
    probabilities = torch.softmax(outputs, dim=1)
    return functional.mse_loss(probabilities, _shares(targets, probabilities))


def _shares(targets: Tensor, outputs: Tensor) -> Tensor:
    """The share of each class, [N, K]."""
    if targets.dim() == 2:
        return targets.to(outputs.dtype)
    return functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
