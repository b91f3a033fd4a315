"""Keeps torch's optimisers from importing torch's compiler, which takes longer than a whole small trial.

In torch 2.x the first use of an optimiser imports `torch._dynamo` (several seconds), only to tell a compiler that is
not there to stay away from it. Both entrances are wrappers around the real method, which is used here without them; the
arithmetic is torch's own. Where torch has no such wrapper, nothing is changed. Tests compare with `optimizer.step()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

_WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def without_compiler() -> None:
    """Lets the methods of every optimiser that only keep books run without the compiler. May be called again."""
    for name in _WRAPPED:
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if method is not None and not hasattr(method, "__dynamo_disable"):
            setattr(method, "__dynamo_disable", method)


def light_step(optimizer: Optimizer) -> Callable[[], None]:
    """`optimizer.step()` without its wrappers: no compiler, no profiler range, no step hooks."""
    method: Any = type(optimizer).step
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__

    def step() -> None:
        with torch.no_grad():
            method(optimizer)

    return step
