"""Sparse training: an L1 penalty whose weights really become zero.

The subgradient of |w|, as `train.l1` has it, makes weights small and lets them swing around zero. Here each step of the
optimiser is followed by the proximal step of the penalty (ISTA, Beck and Teboulle, 2009): every weight moves towards
zero by the rate times the penalty, and stays exactly there if that is farther than it had to go.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.functional import softshrink
from torch.optim import Optimizer

from tuning_trainer.config import TrainerConfig
from tuning_trainer.config.errors import SettingError

SETTING = "compress.prune.l1"


def check(config: TrainerConfig) -> None:
    """Raises `SettingError` where weights are averaged: a mean of weights that were zero at times is not zero."""
    penalty, optimizer = config.compress.prune.l1, config.optimizer.name
    if penalty and config.train.ema:
        raise SettingError(
            f"{SETTING} is {penalty}, but train.ema is {config.train.ema}, and averages are hardly ever zero; set one "
            "of them to 0"
        )
    if penalty and optimizer.startswith("schedule_free"):
        raise SettingError(
            f"{SETTING} is {penalty}, but optimizer {optimizer} averages weights, and averages are hardly ever zero; "
            "take another optimizer, or an l1 of 0"
        )


def shrink(weights: Iterable[nn.Parameter], optimizer: Optimizer, *, penalty: float) -> None:
    """The proximal step of `penalty` for those of the optimiser's parameters that are in `weights`, at their rates."""
    shrunk = {id(weight) for weight in weights}
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if id(weight) in shrunk:
                    weight.copy_(softshrink(weight, float(group["lr"]) * penalty))
