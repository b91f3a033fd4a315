"""torch's optimisers from their settings, in the fastest form the device has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tuning_trainer.config import optimizer as settings
from tuning_trainer.optim.light import without_compiler


def build(optimizer: settings.Optimizer, model: nn.Module) -> Optimizer:
    """The optimiser of `model`. Weight decay is left off biases and normalisation layers (weights of one dimension)."""
    without_compiler()
    groups = _groups(model.parameters(), optimizer.weight_decay)
    cuda = next(model.parameters()).is_cuda
    match optimizer:
        case settings.Sgd():
            return torch.optim.SGD(
                groups, lr=optimizer.lr, momentum=optimizer.momentum, nesterov=optimizer.nesterov, fused=True
            )
        case settings.Adagrad():
            return torch.optim.Adagrad(groups, lr=optimizer.lr, eps=optimizer.epsilon, fused=not cuda)
        case settings.RmsProp():
            return torch.optim.RMSprop(
                groups, lr=optimizer.lr, alpha=optimizer.alpha, eps=optimizer.epsilon, momentum=optimizer.momentum
            )
        case settings.Adam():
            return torch.optim.Adam(groups, **_adam(optimizer))
        case settings.AdamW():
            return torch.optim.AdamW(groups, **_adam(optimizer))


def _adam(optimizer: settings.Adam | settings.AdamW) -> dict[str, Any]:
    betas = (optimizer.beta1, optimizer.beta2)
    return {"lr": optimizer.lr, "betas": betas, "eps": optimizer.epsilon, "fused": True}


def _groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    every = [p for p in parameters if p.requires_grad]
    if decay == 0:
        return [{"params": every, "weight_decay": 0.0}]
    groups = [
        {"params": [p for p in every if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
