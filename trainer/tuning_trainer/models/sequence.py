"""How samples are read as sequences by models that need some: images row by row, tables number by number."""

from __future__ import annotations

from torch import Tensor, nn

from tuning_trainer.config.errors import SettingError


def sequence_of(shape: tuple[int, ...], *, model: str) -> tuple[int, int]:
    """Length and size of each step of a sample of `shape`. Raises `SettingError` for what is no sequence."""
    match shape:
        case (numbers,):
            return numbers, 1
        case (steps, size):
            return steps, size
        case (channels, rows, columns):
            return rows, channels * columns
    raise SettingError(f"model.name is {model!r} but a sample of the data has the shape {shape}; use mlp or linear")


class AsSequence(nn.Module):
    """[N, F] -> [N, F, 1]; [N, T, F] stays; [N, C, H, W] -> [N, H, C * W]."""

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.dim() == 2:
            return inputs.unsqueeze(2)
        if inputs.dim() == 4:
            return inputs.permute(0, 2, 1, 3).flatten(2)
        return inputs
