"""torch.compile by choice: where it cannot, the trial says so and trains on without."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn


def compiled(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """`module` compiled at its first call; the plain module from then on if that call cannot be compiled.

    Weights and mode stay those of `module`. Running out of memory is not taken for a failure to compile.
    """
    fast = torch.compile(module)
    use: list[Callable[[Tensor], Tensor]] = [fast]

    def call(inputs: Tensor) -> Tensor:
        try:
            return use[0](inputs)
        except Exception as error:
            if use[0] is module or not _is_of_the_compiler(error):
                raise
            told = " ".join(str(error).split())[:200]
            print(f"tuning_trainer: torch.compile is not used: {told}", file=sys.stderr, flush=True)
            use[0] = module
            return module(inputs)  # type: ignore[no-any-return]

    return call


def _is_of_the_compiler(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor")) or isinstance(error, ImportError)
