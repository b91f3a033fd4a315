"""Real texts for tests: what ships with Python and its packages."""

from __future__ import annotations

import csv
import importlib
import importlib.metadata
import inspect
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

MODULES = ("argparse", "collections", "inspect", "json", "logging", "pathlib", "subprocess")

Row = tuple[str, str]
"""A text and its label."""


@cache
def documentation() -> str:
    """Python's own documentation, half a million characters."""
    topics = importlib.import_module("pydoc_data.topics").topics
    return "\n\n".join(topics[name] for name in sorted(topics))


@cache
def licences() -> list[str]:
    """Paragraphs of the licences of installed packages."""
    found: set[str] = set()
    for package in importlib.metadata.distributions():
        for file in package.files or ():
            path = Path(str(file.locate()))
            if "licen" in file.name.lower() and path.suffix in ("", ".txt", ".md") and path.is_file():
                found |= set(path.read_text(errors="replace").split("\n\n"))
    return sorted(text.strip() for text in found if 80 < len(text.strip()) < 800)


@cache
def docstrings() -> list[str]:
    """Docstrings of the standard library."""
    found: set[str] = set()
    for module in map(importlib.import_module, MODULES):
        owners = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
        members = [value for owner in owners for value in vars(owner).values() if callable(value)]
        found |= {inspect.getdoc(member) or "" for member in members}
    return sorted(text for text in found if 80 < len(text) < 800)


def labelled(count: int) -> list[Row]:
    """So many paragraphs of licences and of docstrings each."""
    return [(text, "licence") for text in licences()[:count]] + [(text, "docstring") for text in docstrings()[:count]]


def as_csv(path: Path, rows: Sequence[Row]) -> Path:
    """A CSV file with the columns `text` and `label`."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def as_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    """A file with a JSON object each line."""
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


def as_folders(path: Path, rows: Sequence[Row]) -> Path:
    """A directory with a folder for each label."""
    for number, (text, label) in enumerate(rows):
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{number:04d}.txt").write_text(text)
    return path
