"""Reads a CSV or Parquet file and decides what its columns are. How they become numbers is in `table_encoding`.

pyarrow reads both formats, without pandas and its import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tuning_trainer.config import data as settings
from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.data.source import Encoding, Rows
from tuning_trainer.data.split import check_shares
from tuning_trainer.data.table_encoding import Column, TableSource

MAX_INTEGER_CLASSES: Final = 20
"""Whole numbers with more different values than this are a regression, when nobody says otherwise."""


SeparateTest = Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def load(data: settings.Table) -> tuple[TableSource, SeparateTest | None]:
    """The table as a source, and how to get the encoded test rows where they have a file of their own. Raises
    `SettingError` for a file or a column that cannot be used, by name.
    """
    check_shares(data.split, validation_path=data.validation_path, test_path=data.test_path)
    table = _read(data.path, data, setting="data.path")
    names = list(table.column_names)
    for field, wanted in (("target", [data.target]), ("drop", data.drop)):
        for name in wanted:
            if name not in names:
                raise SettingError(
                    f"data.{field} names the column {name!r}, which is not in the file; {nearest(name, names)}"
                )
    if data.target in data.drop:
        raise SettingError(f"data.drop names the target {data.target!r}; leave it out there")
    features = [n for n in names if n != data.target and n not in data.drop]
    if not features:
        raise SettingError("data.drop leaves no column to learn from")
    table = _told(table, data)
    if table.num_rows < 3:
        raise SettingError(f"data.path: {table.num_rows} rows have a target; at least 3 are needed")
    targets, classes = _targets(table.column(data.target), data)
    columns = [_column(name, table.column(name), setting="data.path") for name in features]
    kept = _kept(columns, data, setting="data.path")
    if len(kept) < 3:
        raise SettingError(
            f"data.path: {len(kept)} rows are complete; at least 3 are needed, or set data.missing to fill"
        )
    columns, targets, held_out = [column.at(kept) for column in columns], targets[kept], 0
    if data.validation_path:
        more, others = _others(data.validation_path, data, columns, classes, setting="data.validation_path")
        columns = [column.and_then(other) for column, other in zip(columns, more, strict=True)]
        targets, held_out = np.concatenate([targets, others]), len(others)

    def test(encoding: Encoding) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        assert data.test_path and encoding.encode_others
        found, others = _others(data.test_path, data, columns, classes, setting="data.test_path")
        return encoding.encode_others(found), others

    source = TableSource(
        columns=tuple(columns),
        targets=targets,
        classes=classes,
        max_categories=data.categories,
        held_out=held_out,
        test_file=data.test_path is not None,
    )
    return source, test if data.test_path else None


def _others(
    path: str, data: settings.Table, known: Sequence[Column], classes: tuple[str, ...] | None, *, setting: str
) -> tuple[list[Column], npt.NDArray[Any]]:
    """Columns and targets of another file, which must be of the kinds that are `known` of `data.path`."""
    table = _read(path, data, setting=setting)
    for name in (data.target, *(column.name for column in known)):
        if name not in table.column_names:
            raise SettingError(
                f"{setting} lacks the column {name!r} of data.path; {nearest(name, list(table.column_names))}"
            )
    table = _told(table, data)
    if not table.num_rows:
        raise SettingError(f"{setting}: no row has a target")
    columns = [_column(column.name, table.column(column.name), setting=setting).as_in(column) for column in known]
    wrong = next((c.name for c, k in zip(columns, known, strict=True) if (c.texts is None) != (k.texts is None)), None)
    if wrong is not None:
        raise SettingError(f"{setting}: column {wrong!r} holds text, but in data.path it holds numbers")
    targets = _known_targets(table.column(data.target), data, classes, setting=setting)
    kept = _kept(columns, data, setting=setting)
    if not len(kept):
        raise SettingError(f"{setting}: no row is complete; repair them, or set data.missing to fill")
    return [column.at(kept) for column in columns], targets[kept]


def _told(table: Any, data: settings.Table) -> Any:
    """The rows that have a target."""
    return table.filter(table.column(data.target).is_valid())


def _kept(columns: Sequence[Column], data: settings.Table, *, setting: str) -> Rows:
    """The rows that count, by the policy for missing values."""
    missing = np.stack([column.missing for column in columns])
    lacking: npt.NDArray[np.bool_] = np.asarray(missing.any(axis=0))
    if data.missing == "fill" or not lacking.any():
        return np.arange(missing.shape[1])
    row = int(np.flatnonzero(lacking)[0])
    name = columns[int(np.flatnonzero(missing[:, row])[0])].name
    text = f"{setting}: {int(lacking.sum())} of {len(lacking)} rows lack a value, first {name!r} of row {row + 1}"
    if data.missing == "error":
        raise SettingError(f"{text}; repair them, or set data.missing to fill or drop")
    print(f"tuning_trainer: {text}; they are left out", file=sys.stderr, flush=True)
    return np.flatnonzero(~lacking)


def _read(file: str, data: settings.Table, *, setting: str) -> Any:
    import pyarrow

    path, kind = Path(file), str(data.format)
    if kind == "auto":
        endings = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".pq": "parquet"}
        kind = next((format_ for ending, format_ in endings.items() if path.name.lower().endswith(ending)), "")
        if not kind:
            raise SettingError(f"{setting} is {file!r}, whose ending is not known; set data.format to csv or parquet")
    try:
        if kind == "csv":
            from pyarrow import csv

            table = csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
        else:
            from pyarrow import parquet

            table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"{setting}: {path} cannot be read as {kind}: {told}") from None
    names = table.column_names
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise SettingError(f"{setting}: column {min(twice)!r} is there twice; a column's name must be unique")
    return table


def _targets(column: Any, data: settings.Table) -> tuple[npt.NDArray[Any], tuple[str, ...] | None]:
    from pyarrow import types

    kind = column.type
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    values = column.to_pylist()
    task = data.task
    if task == "auto":
        few = types.is_integer(kind) and len(set(values)) <= MAX_INTEGER_CLASSES
        task = "regression" if numeric and not few else "classification"
    if task == "regression":
        if not numeric:
            raise SettingError(f"data.task is 'regression' but the target {data.target!r} holds {kind}, not numbers")
        return _finite(values, data), None
    different = sorted(set(values), key=lambda v: (str(type(v)), v))
    if len(different) < 2:
        raise SettingError(f"the target {data.target!r} has the single value {different[0]!r}; classes need at least 2")
    index = {value: i for i, value in enumerate(different)}
    return np.array([index[v] for v in values], dtype=np.int64), tuple(map(str, different))


def _known_targets(
    column: Any, data: settings.Table, classes: tuple[str, ...] | None, *, setting: str
) -> npt.NDArray[Any]:
    """Of another file: as in data.path."""
    values = column.to_pylist()
    if classes is None:
        if any(isinstance(v, str | bool) for v in values):
            raise SettingError(f"{setting}: the target {data.target!r} holds {column.type}, but in data.path numbers")
        return _finite(values, data)
    index = {name: number for number, name in enumerate(classes)}
    unknown = next((str(v) for v in values if str(v) not in index), None)
    if unknown is not None:
        raise SettingError(f"{setting} has the class {unknown!r}, which data.path does not; {nearest(unknown, index)}")
    return np.array([index[str(v)] for v in values], dtype=np.int64)


def _finite(values: list[Any], data: settings.Table) -> npt.NDArray[np.float64]:
    numbers = np.array(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise SettingError(f"the target {data.target!r} holds values that are not finite; remove these rows")
    return numbers


def _column(name: str, column: Any, *, setting: str) -> Column:
    from pyarrow import types

    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        numbers = np.array([np.nan if v is None else float(v) for v in column.to_pylist()], dtype=np.float64)
        return Column(name=name, numbers=np.where(np.isfinite(numbers), numbers, np.nan))
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind) or types.is_string_view(kind):
        texts = np.array([None if v is None else str(v) for v in column.to_pylist()], dtype=object)
        return Column(name=name, texts=texts)
    raise SettingError(
        f"{setting}: column {name!r} holds {column.type}, which is neither number, text nor boolean; name it "
        "in data.drop or convert it"
    )
