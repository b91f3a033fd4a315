"""The next token at each position of a text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.config.loss import Loss
from tuning_trainer.optim import loss as losses
from tuning_trainer.optim.loss import IGNORED, LossFunction
from tuning_trainer.tasks.task import Meter


@dataclass(frozen=True, slots=True)
class Language:
    """Logits [N, T, V] for tokens [N, T], here from 0, as padding is never predicted; a target of `IGNORED` does not
    count.
    """

    lengths: Tensor
    """[V]: the bytes of text that each token stands for."""

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return len(self.lengths)

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        return {"classes": None, "target": None, "tokens": len(self.lengths)}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return losses.for_tokens(loss)

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return TokenMeter(loss, self.lengths)


class TokenMeter:
    """Adds up batch by batch, as the logits of a whole part would need much memory.

    Metrics: `perplexity`, e to the mean negative log-likelihood of a token; `bits_per_byte`, the same in bits over the
    bytes of the text, which is comparable between vocabularies; `accuracy` of the likeliest token.
    """

    def __init__(self, loss: LossFunction, lengths: Tensor) -> None:
        self._loss = loss
        self._lengths = lengths
        self._sums = torch.zeros(5, dtype=torch.float64)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """See `Meter`."""
        there = targets != IGNORED
        count = there.sum()
        mean = losses.of_tokens(outputs, targets)
        loss = mean if self._loss is losses.of_tokens else self._loss(outputs, targets)
        hits = (outputs.argmax(dim=-1) == targets).sum()
        length = (self._lengths.to(targets.device)[targets * there] * there).sum()
        sums = torch.stack([count, loss * count, mean * count, hits, length.to(mean.dtype)])
        self._sums = self._sums.to(targets.device) + sums.double()

    def values(self) -> dict[str, float]:
        """See `Meter`."""
        count, loss, likelihood, hits, length = self._sums.tolist()
        return {
            "loss": loss / count,
            "perplexity": math.exp(min(likelihood / count, 700.0)),
            "bits_per_byte": likelihood / math.log(2) / length if length else math.nan,
            "accuracy": hits / count,
        }
