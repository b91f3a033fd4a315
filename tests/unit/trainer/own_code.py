"""What somebody might bring along: a model, data, and a task that the trainer does not have (counts, by Poisson)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tuning_trainer.config.loss import Loss
from tuning_trainer.data.layout import Layout
from tuning_trainer.data.source import Encoding, Numbers, Rows
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.tasks.task import Meter

NOT_CALLABLE = 3


def perceptron(*, layout: Layout, outputs: int, width: int = 4, depth: int = 1) -> nn.Module:
    """Layers of tanh."""
    sizes = [layout.shape[0], *[width] * depth]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))


def no_module(*, layout: Layout, outputs: int) -> str:
    """Not what was asked for."""
    return f"{layout.shape} {outputs}"


def no_weights(*, layout: Layout, outputs: int) -> nn.Module:
    """Nothing to train."""
    return nn.Flatten()


def broken(*, layout: Layout, outputs: int) -> nn.Module:
    """A bug of its own."""
    raise ZeroDivisionError(f"{layout.shape} {outputs}")


@dataclass(frozen=True)
class Counts:
    """How often something happens, by two numbers."""

    values: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float64]
    classes: None = None

    def learn(self, rows: Rows) -> Encoding:
        """As it is."""
        return Encoding(encode=lambda wanted: self.values[wanted], normalization=None, description={"kind": "counts"})

    def task(self, rows: Rows) -> Poisson:
        """Knows the mean of the training part."""
        return Poisson(float(self.targets[rows].mean()))


@dataclass(frozen=True)
class Poisson:
    """Logarithms of rates [N, 1] for counts [N]."""

    mean: float
    outputs: int = 1

    @property
    def description(self) -> dict[str, Any]:
        """See `Task`."""
        return {"classes": None, "target": None, "mean": self.mean}

    def loss(self, loss: Loss) -> LossFunction:
        """See `Task`."""
        return _likelihood

    def meter(self, loss: LossFunction) -> Meter:
        """See `Task`."""
        return Deviance()


class Deviance:
    """The mean loss."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """See `Meter`."""
        self._sum += float(_likelihood(outputs, targets)) * len(targets)
        self._count += len(targets)

    def values(self) -> dict[str, float]:
        """See `Meter`."""
        return {"loss": self._sum / self._count, "rate": float(self._count)}


def _likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.poisson_nll_loss(outputs.squeeze(1), targets)


def counts(*, samples: int, slope: float = 1.0) -> Counts:
    """Drawn from a known rate."""
    random = np.random.default_rng(0)
    values = random.normal(size=(samples, 2)).astype(np.float32)
    return Counts(values, random.poisson(np.exp(slope * values[:, 0])).astype(np.float64))


def labelled(*, targets: list[Any], classes: list[str] | None = None, gap: bool = False) -> Numbers:
    """A table with these targets."""
    values = np.arange(len(targets), dtype=np.float64)[:, None]
    values[-1] = np.nan if gap else values[-1]
    kind = np.float64 if classes is None else np.array(targets).dtype
    return Numbers(values, ("x",), np.array(targets, dtype=kind), tuple(classes) if classes else None)


def no_source() -> Tensor:
    """Not what was asked for."""
    return torch.zeros(3)
