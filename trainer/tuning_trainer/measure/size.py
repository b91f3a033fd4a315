"""How large a model is: its weights, and the bytes of its file as an export writes it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from tuning_trainer.compress.pack import pack
from tuning_trainer.compress.quantize import rounded_of

MEGABYTE = 1_000_000


def size(module: nn.Module) -> dict[str, float]:
    """`parameters`, `nonzero_parameters` and `model_size_mb`."""
    counts = [(weight.numel(), int(weight.count_nonzero())) for weight in _weights(module)]
    return {
        "parameters": float(sum(count for count, _ in counts)),
        "nonzero_parameters": float(sum(nonzero for _, nonzero in counts)),
        "model_size_mb": len(pack(module)) / MEGABYTE,
    }


def _weights(module: nn.Module) -> Iterator[Tensor]:
    """Each weight once, whether it is a float or a whole number; neither scales nor running statistics."""
    rounded = {name: found for name, part in module.named_modules() if (found := rounded_of(part)) is not None}
    for found in rounded.values():
        yield found.numbers
    for name, parameter in module.named_parameters():
        layer, _, leaf = name.rpartition(".")
        if layer not in rounded or leaf == "bias":
            yield parameter.detach()
