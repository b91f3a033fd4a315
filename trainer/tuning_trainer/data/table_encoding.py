"""Turns table columns into numbers: standardised numbers, one-hot text, missing values filled; learned from training
rows only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.split import TrainingSplit
from tuning_trainer.data.source import Encoding, Rows, column_statistics
from tuning_trainer.data.split import Parts, split_beside_files

MISSING = None
"""The category of missing texts."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `numbers` [N] with NaN for missing, or `texts` [N] with None for missing."""

    name: str
    numbers: npt.NDArray[np.float64] | None = None
    texts: npt.NDArray[np.object_] | None = None

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Which values there are not."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        return np.array([v is MISSING for v in self.values()], dtype=bool)

    def values(self) -> npt.NDArray[Any]:
        """Numbers or texts."""
        found = self.texts if self.numbers is None else self.numbers
        assert found is not None
        return found

    def at(self, rows: Rows) -> Column:
        """Some of the rows."""
        return self._with(self.values()[rows])

    def and_then(self, other: Column) -> Column:
        """Both, one after the other."""
        return self._with(np.concatenate([self.values(), other.values()]))

    def as_in(self, known: Column) -> Column:
        """As a column of another file that is read for the first one's `known` column: numbers can be texts there, and
        a column without values is of any kind.
        """
        if known.texts is not None and self.numbers is not None:
            return Column(self.name, texts=np.array([_text(v) for v in self.numbers.tolist()], dtype=object))
        if known.numbers is not None and self.texts is not None and self.missing.all():
            return Column(self.name, numbers=np.full(len(self.texts), np.nan))
        return self

    def _with(self, values: npt.NDArray[Any]) -> Column:
        return Column(self.name, numbers=values) if self.texts is None else Column(self.name, texts=values)


def _text(number: float) -> str | None:
    if math.isnan(number):
        return MISSING
    return str(int(number)) if number.is_integer() else str(number)


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table with mixed columns as a `Source`."""

    columns: tuple[Column, ...]
    targets: npt.NDArray[Any]
    classes: tuple[str, ...] | None
    max_categories: int
    held_out: int = 0
    """The last rows, which are the validation part by a file of their own."""
    test_file: bool = False

    def parts(self, wanted: TrainingSplit) -> Parts:
        """Splits the rows for the parts that have no file of their own."""
        return split_beside_files(
            self.targets, wanted, classes=self.classes is not None, held_out=self.held_out, test_file=self.test_file
        )

    def learn(self, rows: Rows) -> Encoding:
        """Medians, means, deviations and categories of the training `rows`."""
        parts: list[tuple[Column, _Numeric | _Categorical]] = []
        for column in self.columns:
            if column.numbers is not None:
                parts.append((column, _Numeric.learn(column.numbers[rows])))
            elif column.texts is not None:
                parts.append((column, _Categorical.learn(column.texts[rows], self.max_categories)))

        def encode(wanted: Rows) -> npt.NDArray[np.float32]:
            return np.concatenate([part.encode(column, wanted) for column, part in parts], axis=1, dtype=np.float32)

        def encode_others(columns: Sequence[Column]) -> npt.NDArray[np.float32]:
            rows = np.arange(len(columns[0].values()))
            values = [part.encode(other, rows) for other, (_, part) in zip(columns, parts, strict=True)]
            return np.concatenate(values, axis=1, dtype=np.float32)

        description = {"kind": "table", "columns": [{"name": c.name} | p.description() for c, p in parts]}
        return Encoding(encode=encode, normalization=None, description=description, encode_others=encode_others)


@dataclass(frozen=True, slots=True)
class _Numeric:
    median: float
    mean: float
    deviation: float

    @classmethod
    def learn(cls, values: npt.NDArray[np.float64]) -> _Numeric:
        known = values[~np.isnan(values)]
        median = float(np.median(known)) if len(known) else 0.0
        mean, deviation = column_statistics(np.where(np.isnan(values), median, values)[:, None])
        return cls(median=median, mean=float(mean[0]), deviation=float(deviation[0]))

    def encode(self, column: Column, rows: Rows) -> npt.NDArray[np.float64]:
        assert column.numbers is not None
        values = column.numbers[rows]
        filled = np.where(np.isnan(values), self.median, values)
        return ((filled - self.mean) / self.deviation)[:, None]

    def description(self) -> dict[str, Any]:
        return {"kind": "number", "median": self.median, "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True, slots=True)
class _Categorical:
    categories: tuple[str | None, ...]

    @classmethod
    def learn(cls, values: npt.NDArray[np.object_], most: int) -> _Categorical:
        counts = Counter(values.tolist())
        ordered = sorted(counts, key=lambda v: (-counts[v], v is MISSING, v or ""))[:most]
        return cls(categories=tuple(sorted(ordered, key=lambda v: (v is MISSING, v or ""))))

    def encode(self, column: Column, rows: Rows) -> npt.NDArray[np.float64]:
        assert column.texts is not None
        index = {category: i for i, category in enumerate(self.categories)}
        encoded = np.zeros((len(rows), len(self.categories)))
        for row, value in enumerate(column.texts[rows].tolist()):
            place = index.get(value)
            if place is not None:
                encoded[row, place] = 1.0
        return encoded

    def description(self) -> dict[str, Any]:
        return {"kind": "category", "categories": list(self.categories)}
