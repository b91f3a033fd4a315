"""Models of torchvision, which is imported only here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.torchvision import Torchvision as Settings
from tuning_trainer.data.layout import Layout

_NO_SIDE_OUTPUTS = {
    "inception_v3": {"aux_logits": False, "init_weights": True},
    "googlenet": {"aux_logits": False, "init_weights": True},
}
_SIDE_OUTPUTS = ("AuxLogits.", "aux1.", "aux2.")


class Torchvision(nn.Module):
    """Images, scaled where asked for, through the model: [N, C, H, W] -> [N, outputs]."""

    def __init__(self, model: Settings, *, layout: Layout, outputs: int) -> None:
        """Raises `SettingError` for an unknown model, weights of another, or images that it cannot read."""
        super().__init__()
        if len(layout.shape) != 3 or layout.shape[0] not in (1, 3):
            raise SettingError(
                f"model.name is 'torchvision' but a sample of the data has the shape {layout.shape}; it needs images "
                "of 1 or 3 channels"
            )
        self.size = model.resize
        self.network = _network(model, side=model.resize or layout.shape[1], outputs=outputs)
        if model.weights_file is not None:
            _begin_with(self.network, Path(model.weights_file), model.architecture)
        _check(self, model, layout)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, outputs]."""
        if inputs.shape[1] == 1:
            inputs = inputs.expand(-1, 3, -1, -1)
        if self.size is not None:
            inputs = functional.interpolate(
                inputs, size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=True
            )
        return self.network(inputs)  # type: ignore[no-any-return]


def _network(model: Settings, *, side: int, outputs: int) -> nn.Module:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if model.architecture not in known:
        raise SettingError(
            f"model.architecture is {model.architecture!r}, which torchvision does not have; "
            f"{nearest(model.architecture, known)}"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": outputs}
    options |= _NO_SIDE_OUTPUTS.get(model.architecture, {})
    if model.architecture.startswith("vit_"):
        options["image_size"] = side
    elif model.architecture.startswith("maxvit"):
        options["input_size"] = (side, side)
    try:
        return torchvision.models.get_model(model.architecture, **options)  # type: ignore[no-any-return]
    except (ValueError, RuntimeError, AssertionError) as error:
        told = " ".join(str(error).split())[:200]
        raise SettingError(f"{model.architecture} cannot be built for images of {side} pixels: {told}") from None


def _begin_with(network: nn.Module, path: Path, architecture: str) -> None:
    loaded = _read(path)
    own = network.state_dict()
    head = _head(network)
    loaded = {name: value for name, value in loaded.items() if not name.startswith(_SIDE_OUTPUTS)}
    fits = {name: value for name, value in loaded.items() if name in own and value.shape == own[name].shape}
    wrong = sorted(name for name in own.keys() | loaded.keys() if name not in fits and not name.startswith(f"{head}."))
    if wrong:
        kind = "does not have" if wrong[0] not in loaded else "has in another shape or too many"
        raise SettingError(
            f"model.weights_file: {path} is no state_dict of {architecture}: it {kind} {wrong[0]}"
            + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else "")
        )
    new = sorted(own.keys() - fits.keys())
    if new:
        print(f"tuning_trainer: new weights, not from model.weights_file: {', '.join(new)}", flush=True)
    network.load_state_dict(own | fits)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise SettingError(f"model.weights_file is {str(path)!r}, where there is no file; mount it there")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        body = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each library has its own
        told = " ".join(str(error).split())[:200]
        raise SettingError(f"model.weights_file: {path} cannot be read as weights: {told}") from None
    while isinstance(body, dict) and len(body) and not isinstance(next(iter(body.values())), Tensor):
        inner = next((body[key] for key in ("state_dict", "model") if isinstance(body.get(key), dict)), None)
        if inner is None:
            break
        body = inner
    if not isinstance(body, dict) or not all(isinstance(value, Tensor) for value in body.values()):
        raise SettingError(f"model.weights_file: {path} holds no state_dict")
    return dict(body)


def _head(network: nn.Module) -> str:
    """The last layer, which gives the classes."""
    names = [name for name, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return str(names[-1])


def _check(module: Torchvision, model: Settings, layout: Layout) -> None:
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            module(torch.zeros(1, *layout.shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        told = " ".join(str(error).split())[:200]
        raise SettingError(
            f"model.architecture {model.architecture!r} cannot read images of {layout.shape}: {told}; set "
            "model.resize, such as to 224"
        ) from None
    module.train(training)
