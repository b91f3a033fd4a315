"""Items in the order in which a user will choose them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.config.loss import Loss
from tuning_trainer.metrics.ranking import ranking
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.ranking import for_ranking
from tuning_trainer.tasks.task import Meter

MOST_LOSSES = 10
"""Choices of a user that count for the loss of an evaluation."""
NEVER = -1e4
"""Score of what is no candidate, where a loss has to be computed with it."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What users chose in training: those of user u are `items[starts[u]:starts[u + 1]]`."""

    starts: Tensor
    items: Tensor

    def of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Rows, which are places in `users`, and items."""
        first, count = self.starts[users], self.starts[users + 1] - self.starts[users]
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), count)
        before = torch.repeat_interleave(count.cumsum(0) - count, count)
        places = torch.arange(len(rows), device=users.device) - before + first[rows]
        return rows, self.items[places]


@dataclass(frozen=True, slots=True)
class Ranking:
    """In training, outputs are scores [N, 1 + K] of a chosen item and of others; targets do not count.

    In an evaluation, outputs are scores of all items [N, items], and targets [N, 1 + M] the user and the items that
    were chosen, filled up with -1. The loss is then that of each choice against all candidates.
    """

    items: int
    candidates: Tensor
    """Whether an item can be recommended, bool [items]."""
    choices: Choices
    top: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return self.items

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        return {"classes": None, "target": None, "top": list(self.top)}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return for_ranking(loss)

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return _Lists(self, loss)


class _Lists:
    def __init__(self, task: Ranking, loss: LossFunction) -> None:
        self._task = task
        self._loss = loss
        self._lists: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._choices = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """See `Meter`."""
        users, chosen = targets[:, 0], targets[:, 1:]
        scores = outputs.masked_fill(~self._task.candidates, -torch.inf)
        scores[self._task.choices.of(users)] = -torch.inf
        self._lists.append(ranking(scores, chosen, self._task.top))
        others = scores.clamp(min=NEVER)
        rows, columns = (chosen >= 0).nonzero(as_tuple=True)
        others[rows, chosen[rows, columns]] = NEVER  # none of a user's choices is against another
        for column in range(min(chosen.shape[1], MOST_LOSSES)):
            some = (chosen[:, column] >= 0).nonzero().squeeze(1)
            if len(some):
                own = outputs[some, chosen[some, column]]
                against = torch.cat([own[:, None], others[some]], dim=1)
                self._losses.append(self._loss(against, users[some]) * len(some))
                self._choices += len(some)

    def values(self) -> dict[str, float]:
        """See `Meter`."""
        loss = torch.stack(self._losses).sum() / self._choices
        lists = zip(("recall", "ndcg"), torch.cat(self._lists, dim=2).mean(dim=2).tolist(), strict=True)
        named = {f"{name}_at_{k}": v for name, row in lists for k, v in zip(self._task.top, row, strict=True)}
        return {"loss": float(loss)} | named
