"""Reads texts with labels from a CSV or JSONL file, or from folders, byte by byte: what is no valid UTF-8 is counted,
named and left out, or is an error when there is too much of it.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.text import Text

BLOCK: Final = 64 * 2**20
"""Bytes that a CSV file is read by; no row can be longer."""
_ENDINGS: Final = {".csv": "csv", ".csv.gz": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonl.gz": "jsonl"}


@dataclass(slots=True)
class Labelled:
    """Texts and their labels, in the order of the file."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def read(path: Path, data: Text, *, field: str = "data.path") -> Labelled:
    """All usable texts at `path`, which the setting `field` names. Tells on standard error what was left out.

    Raises `SettingError` for what cannot be read, has no such columns, or is too often invalid.
    """
    if not path.exists():
        raise SettingError(f"{field} is {str(path)!r}, where there is nothing; mount the texts there")
    kind = _kind(path, data.format, field)
    rows = {"csv": _csv, "jsonl": _jsonl, "folders": _folders}[kind](path, data, field)
    found = Labelled()
    invalid: list[str] = []
    unused: list[str] = []
    total = 0
    for place, text, label in rows:
        total += 1
        try:
            words, name = _decoded(text), _decoded(label)
        except UnicodeDecodeError:
            invalid.append(place)
            continue
        if not words.strip() or not name:
            unused.append(place)
            continue
        found.texts.append(words)
        found.labels.append(name)
    if invalid:
        told = f"{len(invalid)} of {total} texts are no valid UTF-8, the first of them {invalid[0]}"
        if len(invalid) > data.invalid * total:
            raise SettingError(
                f"{field}: {told}, and data.invalid allows a share of {data.invalid}; convert them, or raise it"
            )
        print(f"tuning_trainer: {field}: {told}; they are left out", file=sys.stderr)
    if unused:
        told = f"{len(unused)} of {total} texts are empty or have no label, the first of them {unused[0]}"
        print(f"tuning_trainer: {field}: {told}; they are left out", file=sys.stderr)
    if not found.texts:
        raise SettingError(f"{field}: {path} holds no text with a label")
    return found


Row = tuple[str, bytes | str, bytes | str]
"""Where it is, its text, its label."""


def _decoded(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _kind(path: Path, asked: str, field: str) -> str:
    if asked != "auto":
        if path.is_dir() != (asked == "folders"):
            is_a = "directory" if path.is_dir() else "file"
            raise SettingError(f"data.format is {asked!r} but {field} {str(path)!r} is a {is_a}")
        return asked
    if path.is_dir():
        return "folders"
    kind = next((kind for ending, kind in _ENDINGS.items() if path.name.lower().endswith(ending)), None)
    if kind is None:
        raise SettingError(f"{field} is {str(path)!r}, whose ending is not known; set data.format to csv or jsonl")
    return kind


def _csv(path: Path, data: Text, field: str) -> Iterator[Row]:
    import pyarrow
    from pyarrow import csv

    columns = dict.fromkeys((data.text, data.label), pyarrow.binary())
    try:
        table: Any = csv.read_csv(
            path,
            read_options=csv.ReadOptions(block_size=BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=columns, check_utf8=False),
        )
    except (OSError, pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"{field}: {path} cannot be read as csv: {told}") from None
    names = list(table.column_names)
    _check_names(names, data, field)
    texts, labels = table.column(data.text).to_pylist(), table.column(data.label).to_pylist()
    for number, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
        yield f"row {number}", text or b"", label or b""


def _jsonl(path: Path, data: Text, field: str) -> Iterator[Row]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(line, f"line {number}", data, field)
    except (OSError, EOFError) as error:
        raise SettingError(f"{field}: {path} cannot be read: {error}") from None


def _json_row(line: bytes, place: str, data: Text, field: str) -> Row:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError:
        return place, line, b""
    except ValueError as error:
        raise SettingError(f"{field}: {place} is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise SettingError(f"{field}: {place} is no JSON object; each line must be one")
    _check_names(list(row), data, f"{field}: {place}")
    text, label = row[data.text], row[data.label]
    if not isinstance(text, str | None):
        raise SettingError(f"{field}: {place} has {text!r:.60} for {data.text!r}, which is no text")
    if not isinstance(label, str | int | None):
        raise SettingError(
            f"{field}: {place} has {label!r:.60} for {data.label!r}; a label is a text or a whole number"
        )
    return place, text or "", "" if label is None else str(label)


def _check_names(names: list[str], data: Text, told: str) -> None:
    for setting, name in (("text", data.text), ("label", data.label)):
        if name not in names:
            raise SettingError(f"data.{setting} is {name!r}, which is not in {told}; {nearest(name, names)}")


def _folders(path: Path, data: Text, field: str) -> Iterator[Row]:
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    if not folders:
        raise SettingError(f"{field}: {path} has no folders; it needs one for each label, with text files in it")
    for folder in folders:
        files = sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
        if not files:
            raise SettingError(f"{field}: class {folder.name!r} is an empty folder; put texts in it or remove it")
        for file in files:
            try:
                yield str(file.relative_to(path)), file.read_bytes(), folder.name
            except OSError as error:
                raise SettingError(f"{field}: {file} cannot be read: {error.strerror}") from None
