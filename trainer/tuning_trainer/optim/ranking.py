"""Losses of a ranking: the score of a chosen item against those of others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tuning_trainer.config import loss as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.optim.loss import LossFunction


def for_ranking(loss: settings.Loss) -> LossFunction:
    """Scores [N, 1 + K], the chosen item's first -> mean loss; targets do not count. Raises `SettingError` when the
    loss does not fit.
    """
    match loss:
        case settings.AutoLoss() | settings.Bpr():
            return bpr
        case settings.CrossEntropy():
            if loss.class_weights != "none":
                raise SettingError(f"loss.class_weights is {loss.class_weights!r}, which items do not have; use none")
            smoothing = loss.label_smoothing
            return lambda scores, _: functional.cross_entropy(scores, _first(scores), label_smoothing=smoothing)
        case settings.BinaryCrossEntropy():
            wanted = loss.label_smoothing
            return lambda scores, _: functional.binary_cross_entropy_with_logits(
                scores, functional.one_hot(_first(scores), scores.shape[1]) * (1 - wanted) + 0.5 * wanted
            )
    raise SettingError(
        f"loss.name is {loss.name!r} but items are ranked; use bpr, cross_entropy, or binary_cross_entropy"
    )


def bpr(scores: Tensor, _: Tensor) -> Tensor:
    """Minus the logarithm of the probability that the chosen item is above another (Rendle et al., 2009)."""
    return -functional.logsigmoid(scores[:, :1] - scores[:, 1:]).mean()


def _first(scores: Tensor) -> Tensor:
    return torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
