"""Reads files in the layouts of MovieLens: ratings, and features of items and users."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.ratings import Ratings

IN_FOLDERS = {
    "path": ("u.data", "ratings.csv", "ratings.dat"),
    "test_path": ("test.data", "test.csv", "test.dat"),
    "items": ("u.item", "movies.csv", "movies.dat"),
    "users": ("u.user", "users.csv", "users.dat"),
}
"""What is looked for where a setting names a folder."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Ratings in the order of their file."""

    users: npt.NDArray[np.object_]
    items: npt.NDArray[np.object_]
    ratings: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.users)


def read_ratings(data: Ratings, *, setting: str = "path") -> Lines:
    """The ratings of the file that `setting` names. Raises `SettingError`."""
    at, path = f"data.{setting}", getattr(data, setting)
    table, header = _read(path, setting=setting)
    named = {"user": data.user, "item": data.item, "rating": data.rating, "time": data.time}
    if header:
        columns = {what: name for what, name in named.items() if name in table.column_names}
        needed = ["user", "item"]
    else:
        columns = dict(zip(named, table.column_names, strict=False))
        needed = ["user", "item"]
    needed += ["rating"] if data.feedback == "explicit" or data.liked is not None else []
    needed += ["time"] if data.split.by == "last" else []
    for what in needed:
        if what not in columns:
            if not header:
                raise SettingError(
                    f"{at}: {path} has {table.num_columns} columns; user, item, rating, time are expected"
                )
            name = named[what]
            near = nearest(name, table.column_names)
            raise SettingError(f"data.{what} names the column {name!r}, which is not in {path}; {near}")
    found = Lines(
        users=_texts(table.column(columns["user"])),
        items=_texts(table.column(columns["item"])),
        ratings=_numbers(table, columns["rating"], at) if "rating" in columns else np.ones(table.num_rows),
        times=_numbers(table, columns["time"], at) if "time" in columns and data.split.by == "last" else None,
    )
    return _checked(found, data, at)


def _checked(found: Lines, data: Ratings, at: str) -> Lines:
    bad = ~np.isfinite(found.ratings) | _absent(found.users) | _absent(found.items)
    if found.times is not None:
        bad |= ~np.isfinite(found.times)
    if bad.any():
        if data.missing == "error":
            raise SettingError(
                f"{at}: {int(bad.sum())} of {len(found)} ratings lack a user, an item, or a finite number, first "
                f"rating {int(np.flatnonzero(bad)[0]) + 1}; repair them, or set data.missing to drop"
            )
        found = _chosen(found, ~bad)
    if data.feedback == "implicit" and data.liked is not None:
        found = _chosen(found, found.ratings >= data.liked)
        if not len(found):
            raise SettingError(f"data.liked is {data.liked}, which no rating reaches; use a smaller one")
    if not len(found):
        raise SettingError(f"{at}: there are no ratings")
    keys = np.array([f"{u}\n{i}" for u, i in zip(found.users, found.items, strict=True)], dtype=object)
    _, last = np.unique(keys[::-1], return_index=True)
    return found if len(last) == len(keys) else _chosen(found, np.sort(len(keys) - 1 - last))


def _absent(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    return np.array([text is None for text in texts])


def _chosen(found: Lines, rows: npt.NDArray[Any]) -> Lines:
    times = None if found.times is None else found.times[rows]
    return Lines(found.users[rows], found.items[rows], found.ratings[rows], times)


@dataclass(frozen=True, slots=True)
class Features:
    """Of items or users: their ids, with columns of numbers, NaN where they are missing, or of sets of words."""

    ids: tuple[str, ...]
    numbers: dict[str, npt.NDArray[np.float64]]
    words: dict[str, list[frozenset[str]]]


def read_features(data: Ratings, *, setting: str) -> Features:
    """The file of features that `setting` names. The first column is the id, or the column of a csv that is called as
    in the ratings. Raises `SettingError`.
    """
    from pyarrow import types

    table, _ = _read(getattr(data, setting), setting=setting)
    wanted = data.item if setting == "items" else data.user
    key = wanted if wanted in table.column_names else table.column_names[0]
    ids = _texts(table.column(key)).tolist()
    twice = len(ids) - len(set(ids))
    if twice or None in ids:
        raise SettingError(f"data.{setting}: column {key!r} must name each of them once; {twice} are there again")
    numbers: dict[str, npt.NDArray[np.float64]] = {}
    words: dict[str, list[frozenset[str]]] = {}
    for name in table.column_names:
        column = table.column(name)
        if name == key or types.is_null(column.type):
            continue
        if types.is_integer(column.type) or types.is_floating(column.type):
            values = np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
            numbers[name] = np.where(np.isfinite(values), values, np.nan)
        else:
            words[name] = [frozenset(p for p in str(v or "").split("|") if p) for v in column.to_pylist()]
    return Features(tuple(ids), numbers, words)


def _read(path: str, *, setting: str) -> tuple[Any, bool]:
    """The file as a table, and whether it has a header."""
    import pyarrow
    from pyarrow import csv

    at, file = f"data.{setting}", Path(path)
    if file.is_dir():
        inside = next((file / name for name in IN_FOLDERS[setting] if (file / name).is_file()), None)
        if inside is None:
            raise SettingError(
                f"{at} is {path!r}, a folder without any of {', '.join(IN_FOLDERS[setting])}; name a file"
            )
        file = inside
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SettingError(f"{at}: {file} cannot be read: {error.strerror}") from None
    first = body[: body.find(b"\n")] if b"\n" in body else body
    if b"::" in first:
        body, first, separator, header = (*(text.replace(b"::", b"\x1f") for text in (body, first)), "\x1f", False)
    else:
        header = file.suffix.lower() == ".csv"
        separator = "," if header else next((s for s in ("\t", "|", ",") if s.encode() in first), " ")
    try:
        body.decode()
        encoding = "utf8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    count = first.count(separator.encode()) + 1
    names = [f"column{number}" for number in range(1, count + 1)]
    ids: dict[str, Any] = dict.fromkeys(names[:2] if setting in ("path", "test_path") else names[:1], pyarrow.string())
    if header:
        columns = first.decode(encoding).strip().split(",")
        ids = {name.strip().strip('"'): pyarrow.string() for name in columns if name.strip().strip('"').endswith("Id")}
    try:
        return csv.read_csv(
            io.BytesIO(body),
            read_options=csv.ReadOptions(column_names=None if header else names, encoding=encoding),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char='"' if header else False),
            convert_options=csv.ConvertOptions(column_types=ids, strings_can_be_null=True),
        ), header
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, ValueError) as error:
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"{at}: {file} cannot be read as a table: {told}") from None


def _texts(column: Any) -> npt.NDArray[np.object_]:
    values: Sequence[Any] = column.to_pylist()
    return np.array([None if v is None else str(v) for v in values], dtype=object)


def _numbers(table: Any, name: str, at: str) -> npt.NDArray[np.float64]:
    from pyarrow import types

    column = table.column(name)
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_null(column.type)):
        raise SettingError(f"{at}: column {name!r} holds {column.type}, not numbers")
    return np.array([np.nan if v is None else float(v) for v in column.to_pylist()], dtype=np.float64)
