"""Recurrent networks: LSTM, GRU and the plain one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens
from tuning_trainer.models.sequence import AsSequence, sequence_of

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}


class Rnn(nn.Module):
    """A sequence through recurrent layers; the top layer's last state of each direction through a linear layer, for a
    language model the state at each position. The last state of tokens is that of the last one that is no padding.
    """

    def __init__(self, model: settings.Rnn, *, layout: Layout, outputs: int) -> None:
        """Raises `SettingError` for a language model that reads both ways."""
        super().__init__()
        if layout.causal and model.bidirectional:
            raise SettingError(
                "model.bidirectional is true, but a language model must not see what it predicts; set it to false"
            )
        _, size = sequence_of(layout.shape, model=model.name)
        self.each = layout.causal
        self.of_tokens = layout.vocabulary is not None
        self.sequence: nn.Module = AsSequence()
        if layout.vocabulary is not None:
            self.sequence, size = tokens.embedding(layout.vocabulary, model.width), model.width
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
        """[N, ...] -> [N, outputs], or [N, T, outputs] for a language model."""
        vectors = self.sequence(inputs)
        if self.each:
            states, _ = self._through(vectors)
            return self.head(self.dropout(states))  # type: ignore[no-any-return]
        if self.of_tokens and self.directions == 1:
            states, _ = self._through(vectors)
            return self.head(self.dropout(tokens.last(states, tokens.valid(inputs))))  # type: ignore[no-any-return]
        if self.of_tokens:  # the other direction has to begin at the last token
            lengths = tokens.valid(inputs).sum(dim=1).cpu()
            vectors = nn.utils.rnn.pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, state = self._through(vectors)
        hidden = state[0] if isinstance(state, tuple) else state
        last = torch.cat(list(hidden[-self.directions :]), dim=1)
        return self.head(self.dropout(last))  # type: ignore[no-any-return]

    def _through(self, vectors: Any) -> Any:
        """The states, and the last ones. On CPUs cells compute in fp32: many of those have no LSTM in fewer bits."""
        if not torch.is_autocast_enabled("cpu"):
            return self.cells(vectors)
        with torch.autocast("cpu", enabled=False):
            return self.cells(vectors.float())
