"""Changes of images, each sample by its own chance. What they compute is torchvision's (`transforms.v2`), whose classes
would draw once for a whole batch; tests compare each with torchvision's function.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tuning_trainer.config.augment import Augment

GROUPS = 16
"""Parts of a batch that share a draw, where torchvision computes with one value for all."""
ERASED = (0.02, 0.33)
"""Least and largest share of an image that is erased."""
ERASED_RATIO = (0.3, 3.3)
"""Height over width of what is erased, least and largest."""
GREY = (0.2989, 0.587, 0.114)


class ImageChange:
    """On images [B, C, H, W] as they are, bytes or floats from 0 to `white`; gives floats of the same range."""

    def __init__(self, augment: Augment, *, white: int) -> None:
        self._augment = augment
        self._white = white

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `Change`."""
        a, white = self._augment, float(self._white)
        images = inputs.to(torch.float32)
        if a.rand_augment:
            images = _rand_augment(images, a.rand_augment, a.magnitude, white)
        if a.crop:
            images = crop(images, _whole(images, 2 * a.crop + 1), _whole(images, 2 * a.crop + 1), border=a.crop)
        for probability, axis in ((a.flip, 3), (a.vertical_flip, 2)):
            if probability:
                images = torch.where(_chance(images, probability), images.flip(axis), images)
        if a.rotation:
            images = rotate(images, _between(images, -a.rotation, a.rotation))
        for strength, change in ((a.brightness, brighten), (a.contrast, contrast), (a.saturation, saturate)):
            if strength:
                images = change(images, _between(images, 1 - strength, 1 + strength), white)
        if a.hue:
            images = _turn_hue(images, a.hue, white)
        if a.erasing:
            images = _erase(images, a.erasing)
        return images, targets


def crop(images: Tensor, rows: Tensor, columns: Tensor, *, border: int) -> Tensor:
    """The part of each image, with a black border around it, that begins at its row and its column [B]."""
    count, _, height, width = images.shape
    bordered = functional.pad(images, [border] * 4)
    down = (rows[:, None] + torch.arange(height, device=images.device))[:, None, :, None]
    across = (columns[:, None] + torch.arange(width, device=images.device))[:, None, None, :]
    samples = torch.arange(count, device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return bordered[samples, channels, down, across]


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Each image turned about its middle, counter-clockwise, by its own angle [B]; bilinear."""
    angles = degrees * (math.pi / 180)
    cos, sin, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    ratio = images.shape[2] / images.shape[3]
    matrices = torch.stack([cos, -sin * ratio, none, sin / ratio, cos, none], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def brighten(images: Tensor, factors: Tensor, white: float) -> Tensor:
    """Each image times its factor [B]."""
    return (images * factors.view(-1, 1, 1, 1)).clamp(0, white)


def contrast(images: Tensor, factors: Tensor, white: float) -> Tensor:
    """Each image drawn away from its mean grey by its factor [B]."""
    return _blend(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factors, white)


def saturate(images: Tensor, factors: Tensor, white: float) -> Tensor:
    """Each image drawn away from its own grey by its factor [B]."""
    return _blend(images, _grey(images), factors, white)


def _blend(images: Tensor, other: Tensor, factors: Tensor, white: float) -> Tensor:
    share = factors.view(-1, 1, 1, 1)
    return (images * share + other * (1 - share)).clamp(0, white)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    weights = torch.tensor(GREY, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _turn_hue(images: Tensor, most: float, white: float) -> Tensor:
    from torchvision.transforms.v2.functional import adjust_hue

    def turn(some: Tensor) -> Tensor:
        angle = float(torch.empty(()).uniform_(-most, most))
        return adjust_hue(some / white, angle) * white  # type: ignore[no-any-return]

    return _in_groups(images, turn)


def _rand_augment(images: Tensor, operations: int, magnitude: int, white: float) -> Tensor:
    from torchvision.transforms import v2

    change = v2.RandAugment(num_ops=operations, magnitude=magnitude)
    scale = 255 / white
    bytes_ = (images * scale).round().clamp(0, 255).to(torch.uint8)
    return _in_groups(bytes_, change).to(torch.float32) / scale


def _in_groups(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([change(some) for some in torch.tensor_split(images, min(GROUPS, len(images)))])


def _erase(images: Tensor, probability: float) -> Tensor:
    _, _, height, width = images.shape
    area = _between(images, *ERASED) * (height * width)
    ratio = _between(images, math.log(ERASED_RATIO[0]), math.log(ERASED_RATIO[1])).exp()
    tall = (area * ratio).sqrt().round().clamp(1, height)
    wide = (area / ratio).sqrt().round().clamp(1, width)
    top = (torch.rand_like(tall) * (height - tall + 1)).floor()
    left = (torch.rand_like(wide) * (width - wide + 1)).floor()
    rows = torch.arange(height, device=images.device)[None, :]
    columns = torch.arange(width, device=images.device)[None, :]
    down = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    erased = down[:, None, :, None] & across[:, None, None, :] & _chance(images, probability)
    return images.masked_fill(erased, 0.0)


def _chance(images: Tensor, probability: float) -> Tensor:
    return (torch.rand(len(images), device=images.device) < probability).view(-1, 1, 1, 1)


def _between(images: Tensor, least: float, most: float) -> Tensor:
    return torch.empty(len(images), device=images.device).uniform_(least, most)


def _whole(images: Tensor, below: int) -> Tensor:
    return torch.randint(below, (len(images),), device=images.device)
