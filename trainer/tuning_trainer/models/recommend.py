"""Models of users and items. Inputs are a user and some items, [N, 1 + K], with a score of each item as output, [N, K];
or users alone, [N, 1], with the scores of all items, [N, items].
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tuning_trainer.config import ratings as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.activations import ACTIVATIONS
from tuning_trainer.models.held import Holder

FIRST_DEVIATION = 0.1
"""Of the vectors of two towers from 0."""


class Recommender(nn.Module):
    """The product of a user's and an item's vector, plus a bias of each and of all."""

    def __init__(self, model: settings.Factorization | settings.TwoTower, *, layout: Layout) -> None:
        super().__init__()
        users, items = layout.ids
        self.users = Side(model, layout, "user", users, vectors=True)
        self.items = Side(
            model, layout, "item", items, vectors=isinstance(model, settings.Factorization) or model.item_vectors
        )
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, 1 + K] -> [N, K]; [N, 1] -> [N, items]."""
        user, user_bias = self.users(inputs[:, 0])
        if inputs.shape[1] == 1:
            items, item_bias = self.items(torch.arange(self.items.count, device=inputs.device))
            return user @ items.T + user_bias[:, None] + item_bias + self.offset  # type: ignore[no-any-return]
        items, item_bias = self.items(inputs[:, 1:])
        return (user[:, None, :] * items).sum(dim=2) + user_bias[:, None] + item_bias + self.offset  # type: ignore[no-any-return]


class Side(Holder):
    """Vector and bias of users or of items. Those that are not known from training have no part of their own in it."""

    def __init__(
        self,
        model: settings.Factorization | settings.TwoTower,
        layout: Layout,
        kind: Literal["user", "item"],
        count: int,
        *,
        vectors: bool,
    ) -> None:
        two_tower = isinstance(model, settings.TwoTower)
        self.names = (f"known_{kind}s", f"{kind}_features")
        super().__init__(layout.tables, *(self.names if two_tower else self.names[:1]))
        self.count = count
        size = model.width if vectors else 0
        self.vectors = nn.Embedding(count, model.width) if vectors else None
        self.biases = nn.Embedding(count, 1) if model.bias else None
        if self.vectors is not None:
            nn.init.normal_(
                self.vectors.weight, std=FIRST_DEVIATION if isinstance(model, settings.TwoTower) else model.deviation
            )
        if self.biases is not None:
            nn.init.zeros_(self.biases.weight)
        if self.names[1] in self.held:
            size += layout.tables[self.names[1]][1]
        if not size:
            raise SettingError(
                "model.item_vectors is false, but the items have no features; name their file in data.items"
            )
        self.network = _network(model, size) if isinstance(model, settings.TwoTower) else nn.Dropout(model.dropout)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Ids of any shape -> vectors [..., width] and biases [...]."""
        known = self.table(self.names[0])[ids]
        parts = []
        if self.vectors is not None:
            parts.append(self.vectors(ids) * known[..., None])
        if self.names[1] in self.held:
            parts.append(self.table(self.names[1])[ids])
        bias = torch.zeros_like(known) if self.biases is None else self.biases(ids).squeeze(-1) * known
        return self.network(torch.cat(parts, dim=-1)), bias


def _network(model: settings.TwoTower, size: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(model.layers):
        parts += [nn.Linear(size, model.hidden), ACTIVATIONS[model.activation]()]
        if model.dropout:
            parts.append(nn.Dropout(model.dropout))
        size = model.hidden
    return nn.Sequential(*parts, nn.Linear(size, model.width))
