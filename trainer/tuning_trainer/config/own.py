"""Settings of what is somebody's own code: a model or data by the dotted path of a callable that makes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Split

Factory = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=1000)]


class CustomModel(Section):
    """A model of your own: `factory` is called with `layout` (what a sample is), `outputs` (how many numbers to give)
    and the settings, all by name, and returns a torch module.
    """

    name: Literal["custom"] = "custom"
    factory: Factory
    """The callable, as `package.module:callable`; its package must be on PYTHONPATH in the trial's image."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the callable. A parameter of a study may be one of them: `model.settings.NAME`."""


class CustomData(Section):
    """Data of your own, and, if it has one, your own task: `source` is called with the arguments, by name, and returns
    a `tuning_trainer.data.source.Source`.
    """

    name: Literal["custom"] = "custom"
    source: Factory
    """The callable, as `package.module:callable`; its package must be on PYTHONPATH in the trial's image."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the callable. A parameter of a study may be one of them: `data.arguments.NAME`."""
    split: Split = Split()
    """How the samples are split."""
