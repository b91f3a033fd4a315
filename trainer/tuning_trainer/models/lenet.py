"""The LeNet-5 layout 6-16-120-84 for images of 28x28 and more, and its small form for images such as the 8x8 digits."""

from __future__ import annotations

from torch import nn

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.models.activations import ACTIVATIONS

CHANNELS = (6, 16, 32, 64)
DENSE = (120, 84)
LARGE = 28
"""Side in pixels from which the paper's form is used."""


class LeNet(nn.Sequential):
    """Stages of convolution, norm, activation and pooling, then two dense layers: [N, C, H, W] -> [N, outputs].

    Large images: 5x5 convolutions without padding, images under 32x32 first padded to it, so that 28x28 and 32x32 give
    the paper's maps: 28, 14, 10, 5. Small images: 3x3 convolutions that keep the size, so that 8x8 gives 8, 4, 4, 2.
    A stage whose image is 1 pixel wide is not pooled.
    """

    def __init__(self, model: settings.Lenet, *, shape: tuple[int, ...], outputs: int) -> None:
        if len(shape) != 3:
            raise SettingError(
                f"model.name is 'lenet' but a sample of the data has the shape {shape}; "
                "lenet needs images, use mlp or linear"
            )
        channels, *sides = shape
        large = min(sides) >= LARGE
        kernel = model.kernel or (5 if large else 3)
        if kernel % 2 == 0:
            raise SettingError(f"model.kernel is {kernel}; it must be odd")
        parts: list[nn.Module] = []
        for stage in range(model.layers):
            width = max(1, round(CHANNELS[stage] * model.widen))
            padding = 0 if large else kernel // 2
            if large and stage == 0 and max(sides) < 32:
                padding = (32 - max(sides)) // 2
            sides = [side + 2 * padding - kernel + 1 for side in sides]
            if min(sides) < 1:
                raise SettingError(
                    f"model.layers is {model.layers}, but images of {shape[1]}x{shape[2]} are used up "
                    f"by stage {stage + 1} with kernel {kernel}; use fewer layers or a smaller kernel"
                )
            parts.append(nn.Conv2d(channels, width, kernel, padding=padding))
            if model.norm == "batch":
                parts.append(nn.BatchNorm2d(width))
            parts.append(ACTIVATIONS[model.activation]())
            if min(sides) >= 2:
                parts.append(nn.MaxPool2d(2) if model.pool == "max" else nn.AvgPool2d(2))
                sides = [side // 2 for side in sides]
            channels = width
        parts.append(nn.Flatten())
        size = channels * sides[0] * sides[1]
        for nodes in DENSE:
            width = max(1, round(nodes * model.widen))
            parts += [nn.Linear(size, width), ACTIVATIONS[model.activation]()]
            if model.dropout:
                parts.append(nn.Dropout(model.dropout))
            size = width
        parts.append(nn.Linear(size, outputs))
        super().__init__(*parts)
