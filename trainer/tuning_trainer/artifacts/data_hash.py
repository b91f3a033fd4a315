"""By what a person can tell later whether a model was trained on the same data."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from tuning_trainer.config import data as settings
from tuning_trainer.data.prepared import Part


def hash_of_samples(part: Part) -> str:
    """SHA-256 of the samples and their targets as the model gets them, in their order."""
    digest = hashlib.sha256()
    for tensor in (part.inputs, part.targets):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        for piece in torch.split(tensor, 4096):
            digest.update(piece.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def hash_of_file(data: settings.Data) -> str | None:
    """SHA-256 of the file that `data.path` names, as `sha256sum` gives it; None where it is a directory or none."""
    path = getattr(data, "path", None)
    if not isinstance(path, str) or not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
