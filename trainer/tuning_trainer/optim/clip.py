"""Gradient clipping by the norm over all weights and by value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from tuning_trainer.config.train import Train


def build(train: Train, parameters: Sequence[nn.Parameter]) -> Callable[[], None] | None:
    """What to do to the gradients between backward and step; None when nothing. By norm first, then by value."""
    norm, value = train.clip_norm, train.clip_value
    if norm is None and value is None:
        return None

    def clip() -> None:
        if norm is not None:
            nn.utils.clip_grad_norm_(parameters, norm)
        if value is not None:
            nn.utils.clip_grad_value_(parameters, value)

    return clip
