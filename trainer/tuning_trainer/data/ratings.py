"""Ratings of items by users, as samples of one trial. Users, items and statistics are those of the training part."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.ratings import Ratings
from tuning_trainer.data.layout import Layout
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.data.ratings_files import Features, Lines, read_features, read_ratings
from tuning_trainer.data.ratings_split import split_ratings
from tuning_trainer.data.source import Rows, column_statistics
from tuning_trainer.tasks.ranking import Choices, Ranking
from tuning_trainer.tasks.rating import Rating

UNKNOWN = 0
"""The number of users and items that training does not know."""
DRAWS = 5
"""Times that an item which the user chose is drawn anew; one in a great many stays."""


def prepare(data: Ratings, *, final: bool, device: torch.device) -> Prepared:
    """The data of one trial. Raises `SettingError` for files that are missing, damaged or too small."""
    lines = read_ratings(data)
    features = {kind: read_features(data, setting=kind) for kind in ("users", "items") if getattr(data, kind)}
    numbers = np.unique(lines.users, return_inverse=True)[1]
    parts = split_ratings(numbers, lines.times, data.split, separate_test=data.test_path is not None)
    rows = np.concatenate([parts.train, parts.validation]) if final else parts.train
    if not final and not len(parts.validation):
        raise SettingError("data.split.validation is 0; a trial is judged by its validation part, give it a share")
    known = _Known.learn(lines, rows, features, data.categories)
    maker: _Ratings | _Choices = _Ratings(lines, rows) if data.feedback == "explicit" else _Choices(data, known, device)
    train = maker.train(known, lines, rows, device)

    def test() -> Part:
        if data.test_path is not None:
            found = read_ratings(data, setting="test_path")
            return maker.held_out(known, found, np.arange(len(found)), device)
        if not len(parts.test):
            raise SettingError("data.split.test is 0; the final evaluation needs a test part, give it a share above 0")
        return maker.held_out(known, lines, parts.test, device)

    if final and data.test_path is None and not len(parts.test):
        test()
    tables = {name: torch.from_numpy(table).to(device) for name, table in known.tables.items()}
    return Prepared(
        train=train,
        validation=None if final else maker.held_out(known, lines, parts.validation, device),
        test=test,
        task=maker.task,
        layout=Layout(
            (2,),
            ids=(len(known.users) + 1, len(known.items) + 1),
            tables={name: tuple(table.shape) for name, table in tables.items()},
        ),
        normalize=None,
        description={
            "encoding": {
                "kind": "ratings",
                "users": list(known.users),
                "items": list(known.items),
                **known.description,
            },
            **maker.task.description,
            "samples": {"train": len(rows), "validation": 0 if final else len(parts.validation)},
        },
        tables=tables,
        draw=maker.draw,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The users and items of the training part, by number from 1, and the tables that a model holds."""

    users: dict[str, int]
    items: dict[str, int]
    tables: dict[str, npt.NDArray[np.float32]]
    description: dict[str, Any]

    @classmethod
    def learn(cls, lines: Lines, rows: Rows, features: dict[str, Features], categories: int) -> _Known:
        numbered: dict[str, dict[str, int]] = {}
        tables: dict[str, npt.NDArray[np.float32]] = {}
        description: dict[str, Any] = {}
        for kind, ids in (("user", lines.users), ("item", lines.items)):
            seen = set(ids[rows].tolist())
            described = features.get(f"{kind}s")
            names = sorted(seen | set(described.ids if described else ()))
            numbered[kind] = {name: number for number, name in enumerate(names, 1)}
            table = np.zeros(len(names) + 1, dtype=np.float32)
            table[[numbered[kind][name] for name in seen]] = 1
            tables[f"known_{kind}s"] = table
            if described:
                values, description[f"{kind}_features"] = _encode(described, numbered[kind], seen, categories)
                if not values.shape[1]:
                    raise SettingError(f"data.{kind}s: no column is a feature; leave the setting out")
                tables[f"{kind}_features"] = values
        return cls(numbered["user"], numbered["item"], tables, description)

    def number(self, lines: Lines, rows: Rows) -> npt.NDArray[np.int64]:
        """User and item of each row, [rows, 2]."""
        pairs = zip(lines.users[rows].tolist(), lines.items[rows].tolist(), strict=True)
        found = [(self.users.get(user, UNKNOWN), self.items.get(item, UNKNOWN)) for user, item in pairs]
        return np.array(found, dtype=np.int64).reshape(-1, 2)


def _encode(
    features: Features, numbers: dict[str, int], seen: set[str], categories: int
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Features by number [1 + count, F], with statistics of those that training saw, and their names; 0 is the mean."""
    places = np.array([numbers[name] for name in features.ids])
    trained = np.array([name in seen for name in features.ids])
    columns: list[npt.NDArray[np.float64]] = []
    names: list[str] = []
    for name, values in features.numbers.items():
        sample = values[trained & ~np.isnan(values)]
        if len(sample):
            mean, deviation = column_statistics(sample[:, None])
            columns.append(np.where(np.isnan(values), 0.0, (values - mean[0]) / deviation[0]))
            names.append(name)
    for name, words in features.words.items():
        counts = Counter(word for row, there in zip(words, trained, strict=True) if there for word in row)
        often = sorted((w for w, count in counts.items() if count > 1), key=lambda w: (-counts[w], w))[:categories]
        columns += [np.array([word in row for row in words], dtype=np.float64) for word in sorted(often)]
        names += [f"{name}={word}" for word in sorted(often)]
    table = np.zeros((len(numbers) + 1, len(columns)), dtype=np.float32)
    if columns:
        table[places] = np.stack(columns, axis=1)
    return table, names


class _Ratings:
    """Explicit: samples are pairs, targets the standardised ratings."""

    draw = None

    def __init__(self, lines: Lines, rows: Rows) -> None:
        values = lines.ratings[rows]
        scale = float(values.std()) or 1.0
        self.task = Rating(float(values.mean()), scale, float(values.min()), float(values.max()))

    def train(self, known: _Known, lines: Lines, rows: Rows, device: torch.device) -> Part:
        return self.held_out(known, lines, rows, device)

    def held_out(self, known: _Known, lines: Lines, rows: Rows, device: torch.device) -> Part:
        targets = ((lines.ratings[rows] - self.task.mean) / self.task.scale).astype(np.float32)
        pairs = torch.from_numpy(known.number(lines, rows))
        return Part(pairs.to(device), torch.from_numpy(targets).to(device))


class _Choices:
    """Implicit: training samples are pairs; held-out ones are users, with what they chose as targets."""

    task: Ranking

    def __init__(self, data: Ratings, known: _Known, device: torch.device) -> None:
        trained = np.ones(len(known.items) + 1, dtype=bool) if data.items else known.tables["known_items"] > 0
        trained[UNKNOWN] = False
        self._candidates = torch.from_numpy(trained).to(device)
        self._top = data.top
        self._negatives = data.negatives

    def train(self, known: _Known, lines: Lines, rows: Rows, device: torch.device) -> Part:
        pairs = torch.from_numpy(known.number(lines, rows)).to(device)
        items = len(known.items) + 1
        keys = (pairs[:, 0] * items + pairs[:, 1]).sort().values
        starts = torch.searchsorted(keys, torch.arange(len(known.users) + 2, device=device) * items)
        self.task = Ranking(items, self._candidates, Choices(starts, keys % items), self._top)
        trained = torch.from_numpy(np.flatnonzero(known.tables["known_items"])).to(device)
        self.draw = functools.partial(draw, keys=keys, items=trained, total=items, count=self._negatives)
        return Part(pairs, torch.zeros(len(pairs), dtype=torch.int64, device=device))

    def held_out(self, known: _Known, lines: Lines, rows: Rows, device: torch.device) -> Part:
        pairs = known.number(lines, rows)
        chosen: dict[int, list[int]] = {}
        for user, item in pairs.tolist():
            if user != UNKNOWN:
                chosen.setdefault(user, []).append(item)
        if not chosen:
            raise SettingError("data.split: no user of the held-out ratings is known from training; hold out fewer")
        inputs, targets = (torch.from_numpy(table).to(device) for table in _filled(chosen))
        return Part(inputs, targets)


def _filled(chosen: dict[int, list[int]]) -> Sequence[npt.NDArray[np.int64]]:
    """Users [N, 1], and users with their items [N, 1 + M], filled up with -1."""
    widest = max(len(items) for items in chosen.values())
    targets = np.full((len(chosen), widest + 1), -1, dtype=np.int64)
    for row, (user, items) in enumerate(sorted(chosen.items())):
        targets[row, 0] = user
        targets[row, 1 : len(items) + 1] = items
    return np.ascontiguousarray(targets[:, :1]), targets


def draw(
    inputs: Tensor, targets: Tensor, *, keys: Tensor, items: Tensor, total: int, count: int
) -> tuple[Tensor, Tensor]:
    """Adds `count` of the `items` to each pair of user and item, that the user did not choose: `keys` are the sorted
    numbers `user * total + item` of all choices. Drawn by torch's own generator.
    """

    def some() -> Tensor:
        return items[torch.randint(len(items), (len(inputs), count), device=inputs.device)]

    base, found = inputs[:, :1] * total, some()
    for _ in range(DRAWS):
        wanted = base + found
        there = keys[torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)] == wanted
        found = torch.where(there, some(), found)
    return torch.cat([inputs, found], dim=1), targets
