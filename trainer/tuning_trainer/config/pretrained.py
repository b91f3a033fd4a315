"""Settings of models whose weights come from a mounted directory, and of how much of them is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path


class FullAdaptation(Section):
    """All weights are trained."""

    name: Literal["full"] = "full"


class LoraAdaptation(Section):
    """Low-rank adaptation (Hu et al., 2022): weights stay as they are, products of two small matrices are trained and
    added to them; a new classifier is trained as a whole. Checkpoints and exports hold only what was trained.
    """

    name: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1, le=4096)] = 8
    """Rank of the products."""
    lora_alpha: Annotated[float, Field(gt=0, le=65536)] = 16.0
    """Products count by this over `rank`."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the inputs of the products dropped while training."""
    target_modules: (
        Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=100)] | Literal["default", "all-linear"]
    ) = "default"
    """Layers that are adapted, by the ends of their names; `default`: peft's choice for the architecture; `all-linear`:
    every linear layer but the last.
    """


Adaptation = Annotated[FullAdaptation | LoraAdaptation, Field(discriminator="name")]


class Pretrained(Section):
    """A model of `transformers` from a mounted directory in the layout of the Hugging Face hub: config.json and
    safetensors files, with its tokenizer. For data text a classifier of sequences, for data language a causal language
    model. Nothing is downloaded, and code in the directory is not run.
    """

    name: Literal["pretrained"] = "pretrained"
    directory: Path
    """The mounted directory."""
    adaptation: Adaptation = FullAdaptation()
    """What is trained."""
    weights: Literal["fp32", "bf16"] = "fp32"
    """How weights are held; those that LoRA adds are always fp32."""
