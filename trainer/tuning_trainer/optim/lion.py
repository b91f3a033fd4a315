"""Lion, which torch does not have: EvoLved Sign Momentum (Chen et al., 2023, algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Lion(Optimizer):
    """u = sign(b1 m + (1 - b1) g); w -= lr (u + decay w); m = b2 m + (1 - b2) g."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; as in torch, a closure computes the loss again."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            weights: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients: list[Tensor] = [p.grad for p in weights if p.grad is not None]
            momenta = [self._momentum(p) for p in weights]
            first, second = group["betas"]
            rate: float = group["lr"]
            updates = torch._foreach_mul(momenta, first)
            torch._foreach_add_(updates, gradients, alpha=1 - first)
            torch._foreach_sign_(updates)
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
            torch._foreach_add_(weights, updates, alpha=-rate)
            torch._foreach_mul_(momenta, second)
            torch._foreach_add_(momenta, gradients, alpha=1 - second)
        return loss

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]  # type: ignore[no-any-return]
