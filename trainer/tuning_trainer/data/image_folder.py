"""Images in a folder for each class, as bytes of one size. Pillow reads them; it is imported only here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.folders import ImageFolder
from tuning_trainer.data import folders
from tuning_trainer.data.source import Encoding, Images

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def load(
    data: ImageFolder,
) -> tuple[Images, Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]] | None]:
    """The images, and how to get those of the test folder, if there is one. Raises `SettingError` for what is missing
    or damaged.
    """
    pixels, targets, classes = _load(data, data.path, setting="data.path", classes=None)

    def test(encoding: Encoding) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        assert data.test_path is not None
        return _load(data, data.test_path, setting="data.test_path", classes=classes)[:2]

    return Images(pixels, targets, classes), test if data.test_path is not None else None


def _load(
    data: ImageFolder, path: str, *, setting: str, classes: tuple[str, ...] | None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...]]:
    files = folders.find(path, ENDINGS, setting=setting, classes=classes)
    images, targets = folders.read(files, lambda p: read_image(p, data), damaged=data.damaged, setting=setting)
    return np.stack(images), targets, files.classes


def read_image(path: Path, data: ImageFolder) -> npt.NDArray[np.uint8]:
    """One image as [C, height, width]. Raises `UnreadableError`."""
    from PIL import Image, ImageOps

    mode, size = "RGB" if data.colour else "L", (data.image_width or data.image_height, data.image_height)
    try:
        with Image.open(path) as opened:
            opened.draft(mode, (2 * size[0], 2 * size[1]))  # a large JPEG need not be decoded in full
            image = ImageOps.exif_transpose(opened).convert(mode)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise folders.UnreadableError(str(error)) from None
    if image.size != size:
        bilinear = Image.Resampling.BILINEAR
        image = image.resize(size, bilinear) if data.fit == "stretch" else ImageOps.fit(image, size, bilinear)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
