"""The file of a compressed model beside its weights, and how it becomes a model again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from torch import nn

from tuning_trainer import models
from tuning_trainer.artifacts.store import opened, write
from tuning_trainer.artifacts.weights import CONFIG
from tuning_trainer.compress.pack import pack, unpack
from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.layout import Layout
from tuning_trainer.encryption.key import Key
from tuning_trainer.encryption.stream import ENDING

COMPRESSED: Final = "compressed.safetensors"


def write_compressed(directory: Path, *, module: nn.Module, key: Key | None) -> str:
    """Writes `compressed.safetensors`; returns the file's name. Raises OSError when the disk refuses."""
    body = pack(module)
    return write(directory / COMPRESSED, lambda file: file.write(body), key=key).name


def load_compressed(directory: Path, *, key: Key | None = None) -> nn.Module:
    """The compressed model that an export left in `directory`, in evaluation mode on the CPU, with the numbers of few
    bits as they were. Raises OSError, ValueError for what is no such export, `SettingError` without the right key.
    """
    described = described_model(directory, key)
    config = TrainerConfig.model_validate(described["config"], strict=False)
    layout = described["layout"]
    known = Layout(**layout | {name: tuple(layout[name]) for name in ("shape", "ids")})
    module = models.build(config.model, layout=known, outputs=described["outputs"])
    return unpack(read(directory / COMPRESSED, key), module)


def described_model(directory: Path, key: Key | None) -> dict[str, Any]:
    """What `config.json` says of the model in `directory`."""
    found: dict[str, Any] = json.loads(read(directory / CONFIG, key))
    return found


def read(path: Path, key: Key | None) -> bytes:
    """The content of an exported file, encrypted or not."""
    sealed = path.with_name(path.name + ENDING)
    with opened(sealed if sealed.exists() and not path.exists() else path, key) as file:
        return file.read()
