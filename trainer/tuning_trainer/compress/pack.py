"""The file of a compressed model: safetensors in which zeros and whole numbers take the space they need and no more.

Each tensor is stored in the smaller of two forms: all values, or one bit for each that says whether it is zero, and the
others. Whole numbers of 8, 4 and 1 bits are packed in bytes. What is not stored as it is stands in the file's metadata,
so that `unpack` needs a model of the right settings and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tuning_trainer.compress.channels import fit
from tuning_trainer.compress.quantize import layer_of, replace, rounded_of
from tuning_trainer.compress.rounded import Rounded

FORMAT = "tuning.study/compressed/1"
"""Key of the metadata."""
THERE = ".there"
"""Ending of the tensor that says which values of another one are not zero."""
Bytes = npt.NDArray[np.uint8]


def pack(module: nn.Module) -> bytes:
    """The file of `module`, as it is: plain, pruned or quantised."""
    tensors: dict[str, Tensor] = {}
    entries: dict[str, dict[str, Any]] = {}
    layers: dict[str, dict[str, Any]] = {}
    for name, part in module.named_modules():
        rounded = rounded_of(part)
        if rounded is None:
            continue
        layers[name] = {"bits": rounded.bits, "activations": rounded.activations}
        _put_numbers(f"{name}.numbers", rounded, tensors, entries)
        _put_floats(f"{name}.scale", rounded.scale, tensors, entries)
        if rounded.range is not None:
            _put_floats(f"{name}.range", rounded.range, tensors, entries)
    first: dict[tuple[int, ...], str] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        layer, _, leaf = name.rpartition(".")
        if layer in layers and leaf != "bias":
            continue
        place = (value.data_ptr(), *value.shape)
        if value.numel() and place in first:
            entries[name] = {"same": first[place]}
            continue
        first[place] = name
        _put_floats(name, value.detach(), tensors, entries)
    described = json.dumps({"tensors": entries, "layers": layers}, separators=(",", ":"))
    metadata = {FORMAT: described}  # one: the order of several is not fixed
    return bytes(safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()}, metadata=metadata))


def unpack(body: bytes, module: nn.Module) -> nn.Module:
    """The model of the file `body`, in evaluation mode; `module` is a plain model of the same settings, and is used up.

    Raises ValueError for what is no such file.
    """
    entries, layers = _metadata(body)
    tensors = safetensors.torch.load(body)
    values: dict[str, Tensor] = {}
    for name in sorted(entries.keys() | {n for n in tensors if not n.endswith(THERE)}):
        entry = entries.get(name, {})
        values[name] = _get(entry.get("same", name), entries.get(entry.get("same", name), {}), tensors)
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    fit(module, shapes | {f"{layer}.weight": shapes[f"{layer}.numbers"] for layer in layers})
    plain = {n: v for n, v in values.items() if n.rpartition(".")[0] not in layers or n.endswith(".bias")}
    try:
        missing = module.load_state_dict(plain, strict=False)
    except RuntimeError as error:
        raise ValueError(f"the file is of another model: {error}") from None
    if missing.unexpected_keys or {n.rpartition(".")[0] for n in missing.missing_keys} - layers.keys():
        raise ValueError(f"the file is of another model: {missing}")
    module.requires_grad_(False).eval()
    for name, entry in layers.items():
        numbers, scale = values[f"{name}.numbers"], values[f"{name}.scale"]
        rounded = Rounded(entry["bits"], numbers, scale, entry["activations"], values.get(f"{name}.range"))
        replace(module, name, layer_of(module.get_submodule(name), rounded))
    return module


def _metadata(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    length = int.from_bytes(body[:8], "little")
    try:
        found = json.loads(json.loads(body[8 : 8 + length])["__metadata__"][FORMAT])
        return found["tensors"], found["layers"]
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"it is no file of a compressed model, {FORMAT}") from None


def _put_floats(name: str, value: Tensor, tensors: dict[str, Tensor], entries: dict[str, dict[str, Any]]) -> None:
    value = value.cpu()
    there = value.flatten() != 0
    kept, count = int(there.sum()), value.numel()
    if not value.is_floating_point() or math.ceil(count / 8) + kept * value.element_size() >= value.nbytes:
        tensors[name] = value.clone()
        return
    tensors[f"{name}{THERE}"] = torch.from_numpy(np.packbits(there.numpy()))
    tensors[name] = value.flatten()[there]
    entries[name] = {"shape": list(value.shape), "kept": kept}


def _put_numbers(name: str, rounded: Rounded, tensors: dict[str, Tensor], entries: dict[str, dict[str, Any]]) -> None:
    numbers = rounded.numbers.cpu().numpy()
    flat = numbers.reshape(-1)
    there = flat != 0
    packed, some = _pack(flat, rounded.bits), _pack(flat[there], rounded.bits)
    entries[name] = {"shape": list(numbers.shape), "bits": rounded.bits}
    zeros = rounded.bits == 1 and not there.all()  # a sign has no zero
    if zeros or math.ceil(flat.size / 8) + some.size < packed.size:
        entries[name]["kept"] = int(there.sum())
        tensors[f"{name}{THERE}"] = torch.from_numpy(np.packbits(there))
        packed = some
    tensors[name] = torch.from_numpy(packed)


def _get(name: str, entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tensor:
    stored = tensors[name]
    if "bits" in entry:
        count = math.prod(entry["shape"])
        values = torch.from_numpy(_unpack(stored.numpy(), entry["bits"], entry.get("kept", count)))
    else:
        values = stored
    if "kept" in entry:
        count = math.prod(entry["shape"])
        there = torch.from_numpy(np.unpackbits(tensors[f"{name}{THERE}"].numpy(), count=count)).bool()
        whole = torch.zeros(count, dtype=values.dtype)
        whole[there] = values
        values = whole
    return values.reshape(entry["shape"]) if "shape" in entry else values


def _pack(numbers: npt.NDArray[np.int8], bits: int) -> Bytes:
    """`bits` a number: two of 4 bits a byte, the first one low; eight signs a byte, 1 for plus."""
    if bits == 1:
        return np.packbits(numbers > 0)
    if bits == 4:
        pairs = np.concatenate([numbers, np.zeros(numbers.size % 2, np.int8)]).view(np.uint8) & 15
        return (pairs[0::2] | (pairs[1::2] << 4)).astype(np.uint8)
    return numbers.view(np.uint8).copy()


def _unpack(packed: Bytes, bits: int, count: int) -> npt.NDArray[np.int8]:
    if bits == 1:
        return (np.unpackbits(packed, count=count).astype(np.int8) * 2 - 1).astype(np.int8)
    if bits == 4:
        pairs = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
        return np.where(pairs > 7, pairs - 16, pairs).astype(np.int8)
    return packed.view(np.int8).copy()
