"""A teacher from files: what a trial of this trainer exported or saved. It is refused before the training if it does
not fit, as a teacher of other classes or other samples would only spoil the student.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from tuning_trainer import models
from tuning_trainer.artifacts.compressed import described_model, read
from tuning_trainer.artifacts.weights import CONFIG, WEIGHTS
from tuning_trainer.compress.channels import fit
from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.model import Model
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.encryption.key import Key
from tuning_trainer.encryption.stream import ENDING
from tuning_trainer.engine import checkpoint

SETTING = "compress.distill.directory"


def saved_teacher(directory: Path, *, data: Prepared, device: torch.device, key: Key | None) -> nn.Module:
    """The model in `directory`. Raises `SettingError` for one that is not there, cannot be read or does not fit."""
    if not directory.is_dir():
        raise SettingError(f"{SETTING} is {str(directory)!r}, which is no directory; mount the teacher there")
    exported = any((directory / f"{CONFIG}{ending}").exists() for ending in ("", ENDING))
    described, weights = _exported(directory, key) if exported else _checkpoint(directory, key)
    _check(directory, described, data)
    try:
        model: Any = TypeAdapter(Model).validate_python(described["model"], strict=False)
    except ValidationError as error:
        raise SettingError(f"{SETTING}: the model in {directory} is not known to this trainer: {error}") from None
    module = models.build(model, layout=data.layout, outputs=data.task.outputs)
    fit(module, {name: tuple(value.shape) for name, value in weights.items()})
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:200]
        raise SettingError(f"{SETTING}: the weights in {directory} do not fit their model: {told}") from None
    return module.to(device)


def _exported(directory: Path, key: Key | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        body = described_model(directory, key)
        stored = io.BytesIO(read(directory / WEIGHTS, key))
        weights = torch.load(stored, map_location="cpu", weights_only=True)
        described = {"model": body["config"]["model"], "shape": body["layout"]["shape"], "outputs": body["outputs"]}
        return described | {"classes": body["data"].get("classes")}, weights
    except SettingError:
        raise
    except checkpoint.UNREADABLE as error:
        raise SettingError(f"{SETTING}: the export in {directory} cannot be read: {error}") from None


def _checkpoint(directory: Path, key: Key | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    found = checkpoint.newest(directory, torch.device("cpu"), key)
    if found is None:
        raise SettingError(
            f"{SETTING} is {str(directory)!r}, which holds neither an export (config.json) nor a checkpoint"
        )
    identity = found["identity"]
    model = {name.removeprefix("model."): value for name, value in identity.items() if name.startswith("model.")}
    described = {"model": model, "classes": None}
    for name in ("shape", "outputs"):
        described[name] = identity.get(f"data of the trial.{name}")
    return described, found["state"]["loop"]["model"]


def _check(directory: Path, described: Mapping[str, Any], data: Prepared) -> None:
    wanted = {
        "shape": list(data.layout.shape),
        "outputs": data.task.outputs,
        "classes": data.task.description.get("classes"),
    }
    for what, here in wanted.items():
        there = described.get(what)
        if there is not None and here is not None and there != here:
            raise SettingError(
                f"{SETTING}: the teacher in {directory} does not fit: its {what} {_verb(what)} {there}, the "
                f"data of this trial has {here}; take a teacher that was trained on the same kind of samples"
            )


def _verb(what: str) -> str:
    return "is" if what == "shape" else "are"
