"""What a final run leaves in its checkpoint directory: the weights as a state_dict, and the settings that made them."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.parts import Prepared
from tuning_trainer.engine.checkpoint import write_atomically

WEIGHTS = "model.pt"
CONFIG = "config.json"


def export(directory: Path, *, module: nn.Module, config: TrainerConfig, data: Prepared) -> dict[str, str]:
    """Writes `model.pt` and `config.json`; returns artifact name -> file name. Raises OSError when the disk refuses."""
    write_atomically(directory / WEIGHTS, {name: value.detach().cpu() for name, value in module.state_dict().items()})
    body: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "layout": dataclasses.asdict(data.layout),
        "outputs": data.task.outputs,
        "data": data.description,
    }
    temporary = directory / f".{CONFIG}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(body, indent=1) + "\n")
    temporary.replace(directory / CONFIG)
    return {"weights": WEIGHTS, "config": CONFIG}
