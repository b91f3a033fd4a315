"""What examples want to find beside them: photographs, a key, and a pretrained model with texts to learn."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from tests.unit.trainer.texts import as_jsonl, labelled


def write_photos(root: Path, *, count: int = 20) -> Path:
    """Pieces of the two photographs that scikit-learn brings, a temple and a flower."""
    random = np.random.default_rng(0)
    for name, photo in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (root / name).mkdir(parents=True)
        for number in range(count):
            top, left = (int(random.integers(0, edge - 96)) for edge in photo.shape[:2])
            Image.fromarray(photo[top : top + 96, left : left + 80]).save(root / name / f"{number:02d}.png")
    return root


def write_key(path: Path) -> Path:
    """32 bytes in hexadecimal."""
    path.write_text(secrets.token_hex(32))
    return path


def a_pretrained_model_and_texts(folder: Path) -> Path:
    """A tiny encoder in the layout of the hub, in `pretrained`, and `texts.jsonl`."""
    from tests.unit.trainer.tiny_models import a_bert  # brings transformers with it

    as_jsonl(folder / "texts.jsonl", labelled(60))
    return a_bert(folder / "pretrained")
