"""scikit-learn's digits as pictures in folders, one of them damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_pictures(root: Path, *, each: int = 60) -> Path:
    """PNG files in a folder for each of five digits."""
    digits = load_digits(n_class=5)
    for label in range(5):
        folder = root / f"number-{label}"
        folder.mkdir(parents=True)
        for place, pixels in enumerate(digits.images[digits.target == label][:each]):
            Image.fromarray((pixels * (255 / 16)).astype(np.uint8)).save(folder / f"{place:03d}.png")
    (root / "number-0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return root
