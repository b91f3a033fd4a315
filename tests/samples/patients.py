"""scikit-learn's diabetes data as a table that somebody might have: words for a column, gaps, a number for each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from sklearn.datasets import load_diabetes


def write_patients(root: Path, *, tests: int = 88) -> None:
    """`patients.parquet` and, with the last rows, `patients-test.parquet` in `root`."""
    found = load_diabetes(scaled=False)
    values = np.where(np.random.default_rng(0).random(found.data.shape) < 0.005, np.nan, found.data)
    columns = {name: pa.array(values[:, place], from_pandas=True) for place, name in enumerate(found.feature_names)}
    columns["sex"] = pa.array([None if np.isnan(v) else "fm"[int(v) - 1] for v in values[:, 1]])
    table = pa.table({"number": np.arange(len(values)), **columns, "progression": found.target})
    parquet.write_table(table.slice(0, len(values) - tests), root / "patients.parquet")
    parquet.write_table(table.slice(len(values) - tests), root / "patients-test.parquet")
