"""Files in a folder for each class: which there are, and reading them all. Files that cannot be read are counted and
named, and are an error only beyond the share that the settings allow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError

Content = TypeVar("Content")
NAMED = 5
"""Damaged files that are named; the others are only counted."""
THREADS = 8


class UnreadableError(Exception):
    """A file that does not hold what it should; the message says why."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files with their classes, in an order that depends on their names alone."""

    paths: tuple[Path, ...]
    targets: npt.NDArray[np.int64]
    classes: tuple[str, ...]


def find(directory: str, endings: Sequence[str], *, setting: str, classes: tuple[str, ...] | None = None) -> Files:
    """All files with one of the `endings`. With `classes`, the folders must be some of these. Raises `SettingError`."""
    root = Path(directory)
    if not root.is_dir():
        raise SettingError(f"{setting} is {directory!r}, which is no folder; mount the data there")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    names = tuple(p.name for p in folders)
    if classes is None and len(names) < 2:
        raise SettingError(f"{setting} is {directory!r}, which holds {len(names)} folders; each class needs one")
    unknown = sorted(set(names) - set(classes or names))
    if unknown:
        raise SettingError(f"{setting}: folder {unknown[0]!r} is no class of data.path; its classes are {classes}")
    known = classes or names
    paths: list[Path] = []
    targets: list[int] = []
    for folder in folders:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and not p.name.startswith("."))
        if not found:
            raise SettingError(f"{setting}: folder {folder.name!r} has no file that ends in {' or '.join(endings)}")
        paths += found
        targets += [known.index(folder.name)] * len(found)
    if not paths:
        raise SettingError(f"{setting} is {directory!r}, which holds no files; mount the data there")
    return Files(tuple(paths), np.array(targets, dtype=np.int64), known)


def read(
    files: Files, reader: Callable[[Path], Content], *, damaged: float, setting: str
) -> tuple[list[Content], npt.NDArray[np.int64]]:
    """What each readable file holds, and its target. `reader` raises `UnreadableError`.

    Raises `SettingError` when more than the share `damaged` cannot be read, or nothing of a class can.
    """

    def attempt(path: Path) -> Content | UnreadableError:
        try:
            return reader(path)
        except UnreadableError as error:
            return error

    with ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0)))) as pool:
        results = list(pool.map(attempt, files.paths))
    wrong = [(p, r) for p, r in zip(files.paths, results, strict=True) if isinstance(r, UnreadableError)]
    if wrong:
        told = "; ".join(f"{path} ({' '.join(str(error).split())[:120]})" for path, error in wrong[:NAMED])
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        text = f"{len(wrong)} of {len(files.paths)} files cannot be read: {told}{more}"
        if len(wrong) > damaged * len(files.paths):
            raise SettingError(f"{setting}: {text}; repair or remove them, or raise data.damaged, which is {damaged}")
        print(f"tuning_trainer: {text}; they are left out", file=sys.stderr, flush=True)
    good = np.array([not isinstance(r, UnreadableError) for r in results])
    targets = files.targets[good]
    empty = sorted(set(files.targets.tolist()) - set(targets.tolist()))
    if empty:
        raise SettingError(f"{setting}: no file of class {files.classes[empty[0]]!r} can be read; repair them")
    return [r for r in results if not isinstance(r, UnreadableError)], targets
