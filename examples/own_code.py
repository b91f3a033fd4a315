"""Data and a model of one's own for own-code.yaml: sums of waves, told apart by a network of sines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tuning_trainer.data.layout import Layout
from tuning_trainer.data.source import Encoding, Rows


@dataclass(frozen=True)
class Waves:
    """Samples of a wave, slow or fast."""

    values: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    classes: tuple[str, ...] = ("slow", "fast")

    def learn(self, rows: Rows) -> Encoding:
        """Divides by the deviation of the training rows, and by nothing that other rows say."""
        scale = float(self.values[rows].std())
        return Encoding(
            encode=lambda wanted: self.values[wanted] / scale, normalization=None, description={"scale": scale}
        )


def waves(*, samples: int, noise: float = 0.3, points: int = 32) -> Waves:
    """So many waves with noise; its arguments are settings, `data.arguments.noise`."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, samples)
    phase = random.uniform(0, 2 * np.pi, (samples, 1))
    time = np.linspace(0, 2 * np.pi, points)
    clean = np.sin(time * (2 + targets[:, None]) + phase)
    return Waves((clean + random.normal(0, noise, clean.shape)).astype(np.float32), targets)


class Sine(nn.Module):
    """An activation that the trainer does not have."""

    def forward(self, values: Tensor) -> Any:
        """Of each value."""
        return torch.sin(values)


def sines(*, layout: Layout, outputs: int, width: int = 16, depth: int = 1) -> nn.Module:
    """Layers of sines; `width` and `depth` are settings, `model.settings.width`."""
    sizes = [layout.shape[0], *[width] * depth]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), Sine())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))
