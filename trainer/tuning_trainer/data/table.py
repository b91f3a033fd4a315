"""Reads a CSV or Parquet file and decides what its columns are. How they become numbers is in `table_encoding`.

pyarrow reads both formats, without pandas and its import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tuning_trainer.config import data as settings
from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.data.table_encoding import Column, TableSource

MAX_INTEGER_CLASSES: Final = 20
"""Whole numbers with more different values than this are a regression, when nobody says otherwise."""


def load(data: settings.Table) -> TableSource:
    """The table as a source. Raises `SettingError` for a file or a column that cannot be used, by name."""
    table = _read(Path(data.path), data.format)
    names = list(table.column_names)
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise SettingError(f"data.path: column {min(twice)!r} is there twice; a column's name must be unique")
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
    table = table.filter(table.column(data.target).is_valid())
    if table.num_rows < 3:
        raise SettingError(f"data.path: {table.num_rows} rows have a target; at least 3 are needed")
    targets, classes = _targets(table.column(data.target), data)
    columns = tuple(_column(name, table.column(name)) for name in features)
    return TableSource(columns=columns, targets=targets, classes=classes, max_categories=data.categories)


def _read(path: Path, kind: str) -> Any:
    import pyarrow

    if kind == "auto":
        endings = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".pq": "parquet"}
        kind = next((format_ for ending, format_ in endings.items() if path.name.lower().endswith(ending)), "")
        if not kind:
            raise SettingError(
                f"data.path is {str(path)!r}, whose ending is not known; set data.format to csv or parquet"
            )
    try:
        if kind == "csv":
            from pyarrow import csv

            options = csv.ConvertOptions(strings_can_be_null=True)
            return csv.read_csv(path, convert_options=options)
        from pyarrow import parquet

        return parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"data.path: {path} cannot be read as {kind}: {told}") from None


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
        numbers = np.array(values, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise SettingError(f"the target {data.target!r} holds values that are not finite; remove these rows")
        return numbers, None
    different = sorted(set(values), key=lambda v: (str(type(v)), v))
    if len(different) < 2:
        raise SettingError(f"the target {data.target!r} has the single value {different[0]!r}; classes need at least 2")
    index = {value: i for i, value in enumerate(different)}
    return np.array([index[v] for v in values], dtype=np.int64), tuple(map(str, different))


def _column(name: str, column: Any) -> Column:
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
        f"data.path: column {name!r} holds {column.type}, which is neither number, text nor boolean; name it "
        "in data.drop or convert it"
    )
