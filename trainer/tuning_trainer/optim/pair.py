"""Two optimisers as one: each has some of a model's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from tuning_trainer.optim.light import light_step


class Pair(Optimizer):
    """Steps both. The groups of both stand in `param_groups`, so that a schedule changes the rates of both."""

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self._both = (first, second)
        groups = [*first.param_groups, *second.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        self.param_groups = groups
        self._steps = (light_step(first), light_step(second))

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each; as in torch, a closure computes the loss again."""
        loss = None if closure is None else closure()
        for step in self._steps:
            step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"both": [each.state_dict() for each in self._both]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from the states of both."""
        for each, state in zip(self._both, state_dict["both"], strict=True):
            each.load_state_dict(state)
        self.param_groups = [group for each in self._both for group in each.param_groups]
