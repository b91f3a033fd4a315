"""Where encoded samples are held, and in which form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.runtime import HoldOn
from tuning_trainer.data.prepared import Part
from tuning_trainer.data.source import Encoding
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression
from tuning_trainer.tasks.task import Task

RESIDENT_FLOATS = 256 * 2**20
"""Bytes up to which images are held as ready floats; larger sets are held as bytes and normalised batch by batch."""


class Placement:
    """Puts encoded samples on the device, as ready floats if they are small and as bytes if they are not."""

    def __init__(
        self, encoding: Encoding, task: Task, device: torch.device, *, early: bool | None, hold_on: HoldOn
    ) -> None:
        """`early`: whether images are placed as ready floats; None: if they are small."""
        self._task = task
        self._device = device
        self._early = early
        self._hold_on = hold_on
        self._home: torch.device | None = None
        """Where inputs are held; decided with the first part, that of training, for all."""
        self._normalization = encoding.normalization

    def part(self, samples: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Part:
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            bad = np.flatnonzero(~np.isfinite(samples.reshape(len(samples), -1)).all(axis=1))
            raise SettingError(
                f"{len(bad)} of {len(samples)} samples of a part hold numbers that are not finite, first that in place "
                f"{bad[0]}; repair them, fill them, or leave them out"
            )
        inputs = torch.from_numpy(np.ascontiguousarray(samples))
        if self._early is None:
            self._early = inputs.numel() * 4 <= RESIDENT_FLOATS or inputs.is_floating_point()
        early = self._normalization is not None and self._early
        if self._home is None:
            self._home = home_of(inputs.numel() * (4 if early else inputs.element_size()), self._hold_on, self._device)
        inputs = inputs.to(self._home)
        if early:
            inputs = self._normalizer(self._home)(inputs)
        if isinstance(self._task, Classification):
            wanted = torch.from_numpy(targets.astype(np.int64))
        elif isinstance(self._task, Regression):
            wanted = torch.from_numpy(((targets - self._task.mean) / self._task.scale).astype(np.float32))
        else:
            wanted = torch.from_numpy(targets.astype(np.float32) if targets.dtype == np.float64 else targets)
        return Part(inputs, wanted.to(self._device), resident=self._home == self._device and self._hold_on != "host")

    @property
    def normalize(self) -> Callable[[Tensor], Tensor] | None:
        """What is left for each batch; known once the training part is placed."""
        return self._normalizer(self._device) if self._normalization is not None and not self._early else None

    def _normalizer(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        assert self._normalization is not None
        mean = torch.from_numpy(self._normalization.mean).to(device)
        scale = torch.from_numpy(self._normalization.scale).to(device)
        return lambda inputs: (inputs.to(torch.float32) - mean) * scale


def home_of(size: int, hold_on: HoldOn, device: torch.device) -> torch.device:
    """Where training inputs of `size` bytes are held: on a GPU as long as they leave half of what is free there."""
    if device.type != "cuda" or hold_on == "device":
        return device
    if hold_on == "auto" and size <= torch.cuda.mem_get_info(device)[0] // 2:
        return device
    return torch.device("cpu")
