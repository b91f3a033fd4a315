"""A convolutional network of any depth and width, residual by choice."""

from __future__ import annotations

from torch import Tensor, nn

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.models.activations import ACTIVATIONS


class Cnn(nn.Sequential):
    """A first convolution, stages of blocks, the mean over the image, a linear layer: [N, C, H, W] -> [N, outputs].

    Each stage after the first halves the image, as long as it has at least 2 pixels a side.
    """

    def __init__(self, model: settings.Cnn, *, shape: tuple[int, ...], outputs: int) -> None:
        if len(shape) != 3:
            raise SettingError(
                f"model.name is 'cnn' but a sample of the data has the shape {shape}; "
                "cnn needs images, use mlp or linear"
            )
        if model.kernel % 2 == 0:
            raise SettingError(f"model.kernel is {model.kernel}; it must be odd")
        channels, *sides = shape
        parts: list[nn.Module] = [_convolution(model, channels, model.width)]
        width = model.width
        for stage in range(model.layers):
            wider = width if stage == 0 else width * 2
            stride = 1 if stage == 0 or min(sides) < 2 else 2
            sides = [-(-side // stride) for side in sides]
            for block in range(model.blocks):
                parts.append(Block(model, width if block == 0 else wider, wider, stride=stride if block == 0 else 1))
            width = wider
        parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs)]
        super().__init__(*parts)


class Block(nn.Module):
    """Two convolutions; with `residual` the input is added before the last activation, through a convolution of one
    pixel where its shape differs.
    """

    def __init__(self, model: settings.Cnn, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.first = _convolution(model, inputs, outputs, stride=stride)
        self.second = _convolution(model, outputs, outputs, activate=False)
        self.last = ACTIVATIONS[model.activation]()
        self.dropout = nn.Dropout2d(model.dropout)
        self.skip: nn.Module | None = None
        if model.residual:
            same = inputs == outputs and stride == 1
            self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        values: Tensor = self.second(self.first(inputs))
        if self.skip is not None:
            values = values + self.skip(inputs)
        return self.dropout(self.last(values))  # type: ignore[no-any-return]


def _convolution(
    model: settings.Cnn, inputs: int, outputs: int, *, stride: int = 1, activate: bool = True
) -> nn.Sequential:
    plain = model.norm == "none"
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, model.kernel, stride=stride, padding=model.kernel // 2, bias=plain)
    ]
    if model.norm == "batch":
        parts.append(nn.BatchNorm2d(outputs))
    elif model.norm == "layer":
        parts.append(nn.GroupNorm(1, outputs))
    if activate:
        parts.append(ACTIVATIONS[model.activation]())
    return nn.Sequential(*parts)
