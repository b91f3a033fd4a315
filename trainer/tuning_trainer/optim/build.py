"""Optimisers from their settings, in the fastest form the device has: torch's own where it has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tuning_trainer.config import optimizer as settings
from tuning_trainer.optim.light import without_compiler
from tuning_trainer.optim.lion import Lion
from tuning_trainer.optim.pair import Pair

Group = dict[str, Any]


def build(optimizer: settings.Optimizer, model: nn.Module) -> Optimizer:
    """The optimiser of `model`. Weight decay is left off biases and normalisation layers (weights of one dimension)."""
    without_compiler()
    if isinstance(optimizer, settings.Muon):
        return _muon(optimizer, model)
    groups = _groups(model, optimizer.weight_decay, lr=optimizer.lr, layer_decay=optimizer.layer_decay)
    some = next(model.parameters())
    whole = not hasattr(some, "placements")  # torch's fused SGD and Adagrad know no weights that are shared out
    match optimizer:
        case settings.Sgd():
            return torch.optim.SGD(
                groups,
                lr=optimizer.lr,
                momentum=optimizer.momentum,
                nesterov=optimizer.nesterov,
                fused=whole,
                foreach=not whole,
            )
        case settings.Adagrad():
            fused = whole and not some.is_cuda
            return torch.optim.Adagrad(groups, lr=optimizer.lr, eps=optimizer.epsilon, fused=fused, foreach=not fused)
        case settings.RmsProp():
            return torch.optim.RMSprop(
                groups,
                lr=optimizer.lr,
                alpha=optimizer.alpha,
                eps=optimizer.epsilon,
                momentum=optimizer.momentum,
                foreach=True,
            )
        case settings.Adam():
            return torch.optim.Adam(groups, **_adam(optimizer))
        case settings.AdamW():
            return torch.optim.AdamW(groups, **_adam(optimizer))
        case settings.NAdam():
            betas = (optimizer.beta1, optimizer.beta2)
            return torch.optim.NAdam(
                groups,
                lr=optimizer.lr,
                betas=betas,
                eps=optimizer.epsilon,
                momentum_decay=optimizer.momentum_decay,
                decoupled_weight_decay=True,
                foreach=True,
            )
        case settings.ScheduleFreeSgd() | settings.ScheduleFreeAdamW():
            from tuning_trainer.optim import schedule_free

            return schedule_free.build(optimizer, groups)
        case settings.Lion():
            return Lion(groups, lr=optimizer.lr, betas=(optimizer.beta1, optimizer.beta2))


def _adam(optimizer: settings.Adam | settings.AdamW) -> dict[str, Any]:
    betas = (optimizer.beta1, optimizer.beta2)
    return {"lr": optimizer.lr, "betas": betas, "eps": optimizer.epsilon, "fused": True}


def _muon(optimizer: settings.Muon, model: nn.Module) -> Optimizer:
    """Hidden matrices by Muon; embeddings, the last layer, convolutions, biases and norms by AdamW."""
    decay, rate = optimizer.weight_decay, optimizer.layer_decay
    embeddings = (m.weight for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag))
    others_too = {id(p) for p in (_last_matrix(model), *embeddings)}
    chosen = {id(p) for p in model.parameters() if p.requires_grad and p.dim() == 2 and id(p) not in others_too}
    every = _groups(model, decay, lr=optimizer.lr, layer_decay=rate, only=chosen)
    others = _groups(model, decay, lr=optimizer.other_lr, layer_decay=rate, but=chosen)
    rest = torch.optim.AdamW(others, lr=optimizer.other_lr, fused=True)
    if not every:
        return rest
    matrices = torch.optim.Muon(every, lr=optimizer.lr, momentum=optimizer.momentum, nesterov=optimizer.nesterov)
    return Pair(matrices, rest)


def _last_matrix(model: nn.Module) -> nn.Parameter | None:
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() == 2]
    return matrices[-1] if matrices else None


def _groups(
    model: nn.Module,
    decay: float,
    *,
    lr: float,
    layer_decay: float,
    only: set[int] | None = None,
    but: Iterable[int] = (),
) -> list[Group]:
    """Parameters by weight decay and, where layers differ, by layer."""
    excluded = set(but)
    depths = _depths(model)
    deepest = max(depths.values(), default=0)
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad or id(parameter) in excluded or (only is not None and id(parameter) not in only):
            continue
        rate = lr * layer_decay ** (deepest - depths[id(parameter)]) if layer_decay != 1 else lr
        found.setdefault((rate, decay if parameter.dim() > 1 else 0.0), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": share} for (rate, share), params in found.items()]


def _depths(model: nn.Module) -> dict[int, int]:
    """The layer of each parameter, from 0: modules with weights of more than one dimension begin a new one."""
    depths: dict[int, int] = {}
    layer = -1
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if any(parameter.dim() > 1 for parameter in own):
            layer += 1
        for parameter in own:
            depths.setdefault(id(parameter), max(0, layer))
    return depths
