"""What data are once they are prepared: tensors of one trial, ready for its device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.data.layout import Layout
from tuning_trainer.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Part:
    """Samples: `inputs` [N, ...] float32, uint8 or int64 tokens; `targets` [N, ...] as the task wants."""

    inputs: Tensor
    """On the device, or on the CPU where they are brought to the device batch by batch."""
    targets: Tensor
    """On the device."""
    resident: bool = True
    """Whether the inputs are on the device."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        return self.targets.device

    def some(self, rows: Tensor | slice) -> Tensor:
        """Inputs of these rows, on the device."""
        if isinstance(rows, Tensor):
            rows = rows.to(self.inputs.device)
        return self.inputs[rows].to(self.device)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of one trial on its device."""

    train: Part
    validation: Part | None
    """None in role Final."""
    test: Callable[[], Part]
    """Reads and encodes the test part; nothing of it is touched before. Raises `SettingError` when there is none."""
    task: Task
    """What the model is trained for."""
    layout: Layout
    """What one sample is."""
    normalize: Callable[[Tensor], Tensor] | None
    """What each batch of inputs needs before the model; None when the inputs are ready."""
    description: dict[str, Any]
    """Encoding and task as JSON values, to be kept with the exported weights."""
    tables: Mapping[str, Tensor] = field(default_factory=dict)
    """What the model holds of the data besides its weights; see `Layout.tables`."""
    draw: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    """What is drawn anew for each training batch, such as items that a user did not choose; None for nothing."""
