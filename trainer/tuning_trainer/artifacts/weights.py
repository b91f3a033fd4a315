"""The weights of a model, and the settings that made them: as a state_dict of torch, and as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tuning_trainer.artifacts.store import write, write_text
from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.encryption.key import Key

WEIGHTS: Final = "model.pt"
CONFIG: Final = "config.json"
SAFETENSORS: Final = "model.safetensors"


def write_weights(
    directory: Path, *, module: nn.Module, config: TrainerConfig, data: Prepared, key: Key | None
) -> dict[str, str]:
    """Writes `model.pt` and `config.json`; returns artifact name -> file name. Raises OSError when the disk refuses."""
    state = {name: value.detach().cpu() for name, value in module.state_dict().items()}
    body: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "layout": asdict(data.layout),
        "outputs": data.task.outputs,
        "data": data.description,
    }
    return {
        "weights": write(directory / WEIGHTS, lambda file: torch.save(state, file), key=key).name,
        "config": write_text(directory / CONFIG, json.dumps(body, indent=1) + "\n", key=key).name,
    }


def write_safetensors(directory: Path, *, module: nn.Module, key: Key | None) -> str:
    """Writes `model.safetensors` with the names of the state_dict; returns the file's name. A weight that stands in two
    places is written for both. Raises `SettingError` for what the format cannot hold, OSError when the disk refuses.
    """
    from safetensors.torch import save

    from tuning_trainer.config.errors import SettingError

    state = {}
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor) or type(value) not in (torch.Tensor, nn.Parameter):
            raise SettingError(
                f"export.formats has safetensors, but {name} is of the kind {type(value).__name__}, which that format "
                "cannot hold; leave safetensors out, the weights are in model.pt"
            )
        state[name] = value.detach().cpu().clone().contiguous()
    content = save(state, metadata={"format": "pt"})
    return write(directory / SAFETENSORS, lambda file: file.write(content), key=key).name
