"""Recurrent networks: LSTM, GRU and the plain one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tuning_trainer.config import model as settings
from tuning_trainer.models.sequence import AsSequence, sequence_of

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}


class Rnn(nn.Module):
    """A sequence through recurrent layers; the top layer's last state of each direction through a linear layer."""

    def __init__(self, model: settings.Rnn, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        _, size = sequence_of(shape, model=model.name)
        self.sequence = AsSequence()
        between = model.dropout if model.layers > 1 else 0.0
        self.cells = _CELLS[model.cell](
            size,
            model.width,
            num_layers=model.layers,
            bidirectional=model.bidirectional,
            dropout=between,
            batch_first=True,
        )
        self.dropout = nn.Dropout(model.dropout)
        self.directions = 2 if model.bidirectional else 1
        self.head = nn.Linear(model.width * self.directions, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, ...] -> [N, outputs]."""
        _, state = self.cells(self.sequence(inputs))
        hidden = state[0] if isinstance(state, tuple) else state
        last = torch.cat(list(hidden[-self.directions :]), dim=1)
        return self.head(self.dropout(last))  # type: ignore[no-any-return]
