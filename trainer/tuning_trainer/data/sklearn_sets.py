"""scikit-learn's bundled sets, read from the files of the installed package.

Importing scikit-learn takes seconds, its files a few milliseconds; a trial of ten seconds should not spend three on
that. Where the files are not found as expected, scikit-learn itself is asked. Tests compare both ways.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.source import Images, Numbers, Source

_TABLES = {"breast_cancer": "breast_cancer.csv", "wine": "wine_data.csv", "iris": "iris.csv"}


def load(name: str) -> Source:
    """One of digits, breast_cancer, wine, iris, diabetes."""
    try:
        values, targets, classes = _from_files(name)
    except (OSError, ValueError, TypeError):
        values, targets, classes = _from_sklearn(name)
    if name == "digits":
        return Images(values.astype(np.uint8).reshape(-1, 1, 8, 8), targets.astype(np.int64), classes, white=16)
    names = tuple(f"feature{i}" for i in range(values.shape[1]))
    return Numbers(values, names, targets if classes is None else targets.astype(np.int64), classes)


Loaded = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[str, ...] | None]


def _from_files(name: str) -> Loaded:
    directory = _directory()
    if name == "digits":
        with gzip.open(directory / "digits.csv.gz", "rt") as file:
            rows = np.loadtxt(file, delimiter=",")
        return rows[:, :-1], rows[:, -1], tuple(map(str, range(10)))
    if name == "diabetes":
        with gzip.open(directory / "diabetes_data_raw.csv.gz", "rt") as file:
            values = np.loadtxt(file)
        with gzip.open(directory / "diabetes_target.csv.gz", "rt") as file:
            return values, np.loadtxt(file), None
    with (directory / _TABLES[name]).open(newline="") as file:
        header = next(csv.reader(file))
        rows = np.loadtxt(file, delimiter=",")
    count, features, classes = int(header[0]), int(header[1]), tuple(header[2:])
    if rows.shape != (count, features + 1):
        raise ValueError(f"{name}: {rows.shape} rows and columns, {count} and {features + 1} expected")
    return rows[:, :-1], rows[:, -1], classes


def _directory() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise SettingError("data.name is a set of scikit-learn, which is not installed; install the extra `trainer`")
    return Path(found.submodule_search_locations[0]) / "datasets" / "data"


def _from_sklearn(name: str) -> Loaded:
    import sklearn.datasets

    options = {"scaled": False} if name == "diabetes" else {}
    bunch: Any = getattr(sklearn.datasets, f"load_{name}")(**options)
    classes = tuple(map(str, bunch.target_names)) if "target_names" in bunch else None
    return cast(Loaded, (bunch.data, bunch.target.astype(np.float64), classes))
