"""A moving average of the weights (Polyak and Juditsky, 1992; here exponential), which stands in for them where a model
is judged or kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """average = decay * average + (1 - decay) * weight after each step, from the first weights on.

    In the first steps the decay is at most (1 + n) / (10 + n), as an average that remembers the random start is of no
    use in a short training. Running statistics of normalisation layers are the current ones.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._weights = [_own(weight.detach()) for weight in parameters]
        self._shared = [weight.detach().clone() for weight in parameters]
        self._averages = [_own(average) for average in self._shared]
        self._decay = decay
        self._steps = 0

    def update(self) -> None:
        """To be called after each step."""
        self._steps += 1
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model has the averages for its weights; not to be trained meanwhile."""
        with torch.no_grad():
            kept = [weight.clone() for weight in self._weights]
            torch._foreach_copy_(self._weights, self._averages)
            try:
                yield
            finally:
                torch._foreach_copy_(self._weights, kept)

    def settle(self) -> None:
        """Takes the model's weights for the average."""
        with torch.no_grad():
            torch._foreach_copy_(self._averages, [weight.detach() for weight in self._weights])

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"averages": [average.clone() for average in self._shared], "steps": self._steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        torch._foreach_copy_(self._averages, [_own(average) for average in state["averages"]])
        self._steps = state["steps"]


def _own(tensor: Tensor) -> Tensor:
    """The share of this process where a tensor is shared out, with the same memory; else the tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
