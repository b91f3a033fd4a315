"""Settings of torchvision's models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path


class Torchvision(Section):
    """A classification model of torchvision by its name. Images of one channel are given to it as grey ones."""

    name: Literal["torchvision"] = "torchvision"
    architecture: Annotated[str, Field(min_length=1)] = "resnet18"
    """Which one: resnet18, efficientnet_v2_s, convnext_tiny, vit_b_16, ..."""
    weights_file: Path | None = None
    """A mounted file with its state_dict (safetensors, or saved by torch) to begin with; a classifier of another number
    of classes is left out. null: random weights.
    """
    resize: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Side in pixels that images are scaled to before the model, such as 224; null: as they are."""
