"""A model of somebody's own."""

from __future__ import annotations

from torch import nn

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.own import CustomModel
from tuning_trainer.data.layout import Layout
from tuning_trainer.own import made


def build(model: CustomModel, *, layout: Layout, outputs: int) -> nn.Module:
    """What the factory makes. Raises `SettingError` when that is no module, or cannot be trained."""
    module = made(
        model.factory,
        field="model.factory",
        within="model.settings",
        settings=model.settings,
        layout=layout,
        outputs=outputs,
    )
    if not isinstance(module, nn.Module):
        raise SettingError(f"model.factory {model.factory!r} returned {type(module).__name__}; return a torch module")
    if not any(weight.requires_grad for weight in module.parameters()):
        raise SettingError(f"model.factory {model.factory!r} returned a module without weights to train")
    return module
