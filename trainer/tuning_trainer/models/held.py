"""What a model holds of the data besides its weights, such as the edges of a graph: in its state, but never trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

WHOLE_NUMBERS = ("edges",)
"""Tables that are int64; all others are float32."""


class Holder(nn.Module):
    """A model with tables as buffers, by the names of the data; empty until `fill`, or until a state is loaded."""

    def __init__(self, tables: Mapping[str, Any], *names: str) -> None:
        """`tables` are the shapes, see `Layout.tables`; `names` are those the model wants."""
        super().__init__()
        self.held = tuple(name for name in names if name in tables)
        for name in self.held:
            kind = torch.int64 if name in WHOLE_NUMBERS else torch.float32
            self.register_buffer(name, torch.zeros(*tables[name], dtype=kind))

    def table(self, name: str) -> Tensor:
        """The buffer of this name."""
        found = getattr(self, name)
        assert isinstance(found, Tensor)
        return found


def fill(module: nn.Module, tables: Mapping[str, Tensor]) -> None:
    """Gives every part of `module` the tables that it holds."""
    for part in module.modules():
        if isinstance(part, Holder):
            for name in part.held:
                part.table(name).copy_(tables[name])
