"""What is done to gradients between backward and step: the L1 penalty, then clipping by norm, then by value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from tuning_trainer.config.train import Train


def build(train: Train, parameters: Sequence[nn.Parameter]) -> Callable[[], None] | None:
    """What to do, in one call; None when nothing."""
    penalty = _l1(train.l1, parameters) if train.l1 else None
    clip = _clip(train.clip_norm, train.clip_value, parameters)
    if penalty is None or clip is None:
        return penalty or clip

    def both() -> None:
        penalty()
        clip()

    return both


def _l1(strength: float, parameters: Sequence[nn.Parameter]) -> Callable[[], None]:
    """The subgradient of `strength` times the sum of all sizes of weights; 0 at 0."""
    weights = [p for p in parameters if p.dim() > 1]

    def penalize() -> None:
        with torch.no_grad():
            for weight in weights:
                if weight.grad is not None:
                    weight.grad.add_(weight.sign(), alpha=strength)

    return penalize


def _clip(norm: float | None, value: float | None, parameters: Sequence[nn.Parameter]) -> Callable[[], None] | None:
    if norm is None and value is None:
        return None

    def clip() -> None:
        if norm is not None:
            nn.utils.clip_grad_norm_(parameters, norm)
        if value is not None:
            nn.utils.clip_grad_value_(parameters, value)

    return clip
