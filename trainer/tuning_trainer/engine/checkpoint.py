"""Checkpoints: whole or absent, of this configuration or refused, the newest that can be read.

Files are checked by their checksums, or by their encryption, before they are trusted, and hold data only, no code.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from tuning_trainer.artifacts.store import opened, write
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.parent import shared
from tuning_trainer.encryption.key import Key
from tuning_trainer.encryption.stream import ENDING
from tuning_trainer.engine import shards

FORMAT = 1
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile)

FREE = (
    *("train.epochs", "runtime.device", "runtime.threads", "runtime.compile", "runtime.processes"),
    *("checkpoint", "export", "measure", "encryption", "data.path", "data.validation_path", "data.test_path"),
)
"""Settings, by prefix, that may differ between a checkpoint and the trial that goes on from it."""
_DATA_OF_TRIAL = "data of the trial."


class Checkpoints:
    """The checkpoints of one trial in one directory; without a directory nothing is kept."""

    def __init__(
        self, directory: Path | None, *, identity: Mapping[str, Any], keep: int, key: Key | None = None
    ) -> None:
        """`identity` is what must be equal to go on: see `identity_of`. With a `key` they are encrypted."""
        self.directory = directory
        self._key = key
        self._identity = dict(identity)
        self._keep = keep

    def save(self, step: int, state: Mapping[str, Any]) -> Path | None:
        """Stores `state` as the newest checkpoint and removes the oldest. Raises OSError when the disk refuses."""
        if self.directory is None:
            return None
        body = {"format": FORMAT, "identity": self._identity, "state": dict(state)}
        path = self.directory / f"checkpoint-{step:012d}.pt"
        path = write(path, lambda file: torch.save(body, file), key=self._key)
        for old in self.files()[self._keep :]:
            old.unlink(missing_ok=True)
        return path

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state of the newest checkpoint that can be read; None without one.

        A damaged file is told on standard error and passed over. Raises `SettingError` for one of another
        configuration.
        """
        found = _newest(self.files(), device, self._key)
        if found is None:
            return None
        path, body = found
        if body["identity"] != self._identity:
            raise SettingError(
                f"checkpoint {path} is of another configuration: "
                f"{_difference(body['identity'], self._identity)}; give this trial a checkpoint directory of "
                "its own, or remove the old one"
            )
        return dict(body["state"])

    def inherit(self, parent: Path, device: torch.device) -> dict[str, Any] | None:
        """The state of the newest checkpoint of another trial; None without one that can be read.

        How it was trained may differ from this trial, what was trained may not: raises `SettingError` for another
        model or other data.
        """
        found = _newest(_files(parent), device, self._key)
        if found is None:
            return None
        path, body = found
        there, here = _of_parent(body["identity"]), _of_parent(self._identity)
        if there != here:
            raise SettingError(
                f"checkpoint {path} is of another model or other data: {_difference(there, here)}; with population "
                "based training only settings of the optimiser, the schedule, the batches and the regularisation can "
                "be parameters"
            )
        return dict(body["state"])

    @property
    def encrypted(self) -> bool:
        """Whether they are written with a key."""
        return self._key is not None

    def files(self) -> list[Path]:
        """Newest first."""
        return [] if self.directory is None else _files(self.directory)


def identity_of(config: TrainerConfig, *, role: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint and its trial must share, flat: the settings but the `FREE` ones, the role, the sizes of the
    data.
    """
    flat = dict(_flat(config.model_dump(mode="json"), ""))
    kept = {k: v for k, v in flat.items() if not any(k == free or k.startswith(f"{free}.") for free in FREE)}
    return kept | {"role": role} | {f"{_DATA_OF_TRIAL}{k}": v for k, v in data.items()}


def read(path: Path, device: torch.device, key: Key | None = None) -> dict[str, Any]:
    """The content of a checkpoint after its checksums were verified. Raises ValueError, OSError, BadZipFile, and
    `SettingError` for one that was encrypted with another key.
    """
    with opened(path, key) as file:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        file.seek(0)
        body = torch.load(file, map_location=device, weights_only=True)
    if not isinstance(body, dict) or not {"format", "identity", "state"} <= body.keys():
        raise ValueError("it is no checkpoint of this trainer")
    return body


def _files(directory: Path) -> list[Path]:
    """Newest first."""
    return sorted((*directory.glob("checkpoint-*.pt"), *directory.glob(f"checkpoint-*.pt{ENDING}")), reverse=True)


def newest(directory: Path, device: torch.device, key: Key | None) -> dict[str, Any] | None:
    """The newest checkpoint of `directory` that can be read, whatever its configuration; None without one."""
    found = _newest(_files(directory), device, key)
    return None if found is None else found[1]


def _newest(paths: Iterable[Path], device: torch.device, key: Key | None) -> tuple[Path, dict[str, Any]] | None:
    for path in paths:
        try:
            body = read(path, device, key)
            shards.check(path.parent, body["state"])
        except SettingError:  # a ValueError too, but the file is not damaged: the key is missing or another one
            raise
        except UNREADABLE as error:
            told = " ".join(str(error).split())[:200]
            print(f"tuning_trainer: checkpoint {path.name} cannot be read and is passed over: {told}", file=sys.stderr)
            continue
        if body["format"] != FORMAT:
            raise SettingError(f"checkpoint {path} has format {body['format']}, this trainer reads {FORMAT}; remove it")
        return path, body
    return None


def _of_parent(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in identity.items()
        if name == "role" or name.startswith(_DATA_OF_TRIAL) or shared(name)
    }


def _flat(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    missing = "absent"
    names = [n for n in {*there, *here} if there.get(n, missing) != here.get(n, missing)]
    names.sort(key=lambda name: (not name.endswith("name"), name))  # another member explains all its other settings
    told = [f"{n} was {there.get(n, missing)!r} and is {here.get(n, missing)!r}" for n in names[:3]]
    return ", ".join(told) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
