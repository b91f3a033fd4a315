"""Structured pruning: channels and neurons are taken out of the tensors, so that the model is smaller and faster.

A group is all that must change together: the layers that make the channels, the norms in between, and the layers that
read them. The blocks of a residual stage add their outputs to one another, so they are one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from tuning_trainer.config.errors import SettingError
from tuning_trainer.models.cnn import Block, Cnn
from tuning_trainer.models.lenet import LeNet
from tuning_trainer.models.mlp import Mlp

_Layer = nn.Linear | nn.Conv2d
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)


@dataclass(slots=True)
class Group:
    """Channels that live and die together."""

    makers: list[_Layer] = field(default_factory=list)
    norms: list[nn.Module] = field(default_factory=list)
    readers: list[_Layer] = field(default_factory=list)

    @property
    def width(self) -> int:
        """How many channels there are."""
        return self.makers[0].weight.shape[0]

    def sizes(self, norm: Literal["l1", "l2"]) -> Tensor:
        """The size of each channel, by the weights of all that make it."""
        power = 1 if norm == "l1" else 2
        total = sum(maker.weight.detach().abs().pow(power).flatten(1).sum(dim=1) for maker in self.makers)
        assert isinstance(total, Tensor)
        return total if norm == "l1" else total.sqrt()

    def keep(self, kept: Tensor) -> None:
        """Takes out all channels but `kept`, int64 and rising."""
        width = self.width
        for maker in self.makers:
            _take(maker, "weight", kept, dim=0)
            _take(maker, "bias", kept, dim=0)
        for norm in self.norms:
            for name in ("weight", "bias", "running_mean", "running_var"):
                _take(norm, name, kept, dim=0)
        for reader in self.readers:
            each = reader.weight.shape[1] // width  # a flattened image has several numbers a channel
            columns = (kept[:, None] * each + torch.arange(each, device=kept.device)).flatten()
            _take(reader, "weight", columns, dim=1)
        for module in (*self.makers, *self.norms, *self.readers):
            _tell_sizes(module)


def groups(module: nn.Module) -> list[Group]:
    """The groups of a model; the outputs are in none. Raises `SettingError` for a model it does not know."""
    if isinstance(module, Cnn):
        return _residual(module)
    if isinstance(module, Mlp | LeNet):
        return _chain(module)
    raise SettingError(
        f"compress.channels.share needs a model whose channels can be removed: mlp, lenet or cnn; this one is a "
        f"{type(module).__name__.lower()}: set the share to 0, or use compress.prune"
    )


def shrink(module: nn.Module, widths: Iterable[int], *, norm: Literal["l1", "l2"]) -> None:
    """Leaves of each group the channels of the largest size, as many as `widths` says."""
    found = groups(module)
    kept = [  # all chosen first: the size of a channel is that of all its weights
        torch.topk(group.sizes(norm), width).indices.sort().values for group, width in zip(found, widths, strict=True)
    ]
    for group, stay in zip(found, kept, strict=True):
        if len(stay) < group.width:
            group.keep(stay)


def remaining(width: int, share: float) -> int:
    """How many of `width` channels stay; at least one."""
    return max(1, width - round(share * width))


def fit(module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Gives the tensors of `module` the `shapes` of a model that was shrunk; whether any of them changed.

    The values are those of the first channels, to be overwritten.
    """
    changed = False
    for prefix, part in module.named_modules():
        for name, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            shape = shapes.get(f"{prefix}.{name}" if prefix else name)
            if shape is None or tuple(shape) == tuple(tensor.shape) or len(shape) != tensor.dim():
                continue
            with torch.no_grad():
                smaller = tensor.detach()[tuple(slice(0, length) for length in shape)].clone()
            _put(part, name, smaller)
            changed = True
        _tell_sizes(part)
    return changed


def _chain(module: nn.Sequential) -> list[Group]:
    """The groups of layers that follow one another."""
    found: list[Group] = []
    current: Group | None = None
    for part in module:
        if isinstance(part, nn.Linear | nn.Conv2d):
            if current is not None:
                current.readers.append(part)
            current = Group(makers=[part])
            found.append(current)
        elif isinstance(part, _NORMS) and current is not None:
            current.norms.append(part)
    return found[:-1]


def _residual(module: Cnn) -> list[Group]:
    """The groups of a CNN: inside each block, and from block to block."""
    found: list[Group] = []
    current = Group()
    for part in module:
        if isinstance(part, Block):
            inner = Group(readers=[_convolution(part.second)])
            _made(part.first, inner)
            current.readers.append(_convolution(part.first))
            found.append(inner)
            if isinstance(part.skip, nn.Identity):
                _made(part.second, current)
                continue
            found.append(current)
            if isinstance(part.skip, nn.Conv2d):
                current.readers.append(part.skip)
            current = Group()
            _made(part.second, current)
            if isinstance(part.skip, nn.Conv2d):
                current.makers.append(part.skip)
        elif isinstance(part, nn.Linear):
            current.readers.append(part)
        elif isinstance(part, nn.Sequential):
            _made(part, current)
    return [*found, current]


def _made(part: nn.Module, group: Group) -> None:
    group.makers.append(_convolution(part))
    group.norms += [each for each in part.modules() if isinstance(each, _NORMS)]


def _convolution(part: nn.Module) -> nn.Conv2d:
    return next(each for each in part.modules() if isinstance(each, nn.Conv2d))


def _take(module: nn.Module, name: str, indices: Tensor, *, dim: int) -> None:
    tensor = getattr(module, name, None)
    if isinstance(tensor, Tensor):
        _put(module, name, tensor.detach().index_select(dim, indices))


def _put(module: nn.Module, name: str, tensor: Tensor) -> None:
    old = getattr(module, name)
    if isinstance(old, nn.Parameter):
        setattr(module, name, nn.Parameter(tensor.contiguous(), requires_grad=old.requires_grad))
    else:
        setattr(module, name, tensor.contiguous())


def _tell_sizes(module: nn.Module) -> None:
    """What a layer knows of its sizes besides its tensors."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Conv2d):
        module.out_channels, module.in_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.weight is not None:
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.LayerNorm) and module.weight is not None:
        module.normalized_shape = tuple(module.weight.shape)
    elif isinstance(module, nn.GroupNorm) and module.weight is not None:
        module.num_channels = module.weight.shape[0]
