"""CSV and Parquet files: columns become numbers, from training rows only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tuning_trainer.config import SettingError
from tuning_trainer.config.data import Table
from tuning_trainer.config.split import Split
from tuning_trainer.data import table

CSV = """id,age,city,smoker,label
1,20,Bonn,true,yes
2,,Köln,false,no
3,40,,true,yes
4,60,Bonn,,no
5,30,Ulm,false,
"""


def a_file(directory: Path, text: str = CSV, name: str = "data.csv") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def load(path: Path, **settings: Any) -> Any:
    return table.load(Table(**{"path": str(path), "target": "label", "drop": ["id"], "split": Split(), **settings}))


def test_mixed_columns_with_gaps(tmp_path: Path) -> None:
    source = load(a_file(tmp_path))
    assert source.classes == ("no", "yes")
    assert source.targets.tolist() == [1, 0, 1, 0]  # the row without a target is left out
    encoding = source.learn(np.arange(4))
    assert [c["name"] for c in encoding.description["columns"]] == ["age", "city", "smoker"]
    samples = encoding.encode(np.arange(4))
    assert samples.dtype == np.float32
    ages = np.array([20, 40, 40, 60])  # the missing one is the median
    assert np.allclose(samples[:, 0], (ages - ages.mean()) / ages.std())
    assert samples[:, 1:4].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]  # Bonn, Köln, missing
    assert samples[:, 4:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]  # False, True, missing


def test_statistics_come_from_the_training_rows_only(tmp_path: Path) -> None:
    changed = CSV.replace("4,60,Bonn,,no", "4,1e9,Nirgendwo,,no")
    rows = np.array([0, 1, 2])
    one = load(a_file(tmp_path)).learn(rows)
    other = load(a_file(tmp_path, changed, "other.csv")).learn(rows)
    assert one.description == other.description
    assert np.array_equal(one.encode(rows), other.encode(rows))
    assert other.encode(np.array([3]))[0, 1:4].sum() == 0  # a city not seen in training has no category


def test_rare_categories_share_the_place_of_the_unseen(tmp_path: Path) -> None:
    text = "city,label\n" + "".join(f"{c},{i % 2}\n" for i, c in enumerate("aaabbcd"))
    encoding = load(a_file(tmp_path, text), drop=[], categories=2).learn(np.arange(7))
    assert encoding.description["columns"][0]["categories"] == ["a", "b"]
    assert encoding.encode(np.array([5, 6])).tolist() == [[0, 0], [0, 0]]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0, None, 4.0], "c": ["a", None, "b", "a"], "label": [1, 0, 1, 0]}
    parquet.write_table(pa.table(columns), tmp_path / "data.parquet")
    text = "x,c,label\n1,a,1\n2,,0\n,b,1\n4,a,0\n"
    sources = [load(p, drop=[]) for p in (tmp_path / "data.parquet", a_file(tmp_path, text))]
    encodings = [s.learn(np.arange(4)) for s in sources]
    assert np.array_equal(*(e.encode(np.arange(4)) for e in encodings))
    assert sources[0].targets.tolist() == sources[1].targets.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        pytest.param(["a", "b", "a"], "auto", ("a", "b"), id="text is classes"),
        pytest.param(["true", "false", "true"], "auto", ("False", "True"), id="truths are classes"),
        pytest.param([10, 9, 10], "auto", ("9", "10"), id="few whole numbers are classes, in the order of numbers"),
        pytest.param(list(range(30)), "auto", None, id="many whole numbers are a regression"),
        pytest.param([0.5, 1.5, 0.5], "auto", None, id="numbers are a regression"),
        pytest.param([1, 2, 1], "regression", None, id="unless somebody says otherwise"),
    ],
)
def test_what_is_predicted(tmp_path: Path, values: list[Any], task: str, classes: tuple[str, ...] | None) -> None:
    text = "x,label\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values))
    assert load(a_file(tmp_path, text), drop=[], task=task).classes == classes


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        pytest.param(CSV, {"target": "lable"}, "'lable', which is not in the file; did you mean 'label'?", id="target"),
        pytest.param(CSV, {"drop": ["ID"]}, "data.drop names the column 'ID'", id="a column to drop"),
        pytest.param(CSV, {"drop": ["label"]}, "data.drop names the target", id="the target dropped"),
        pytest.param("a,label\n1,2\n1\n", {"drop": []}, "cannot be read as csv", id="a short row"),
        pytest.param("", {}, "cannot be read as csv", id="an empty file"),
        pytest.param("a,a,label\n1,1,1\n", {"drop": []}, "column 'a' is there twice", id="a column twice"),
        pytest.param("a,label\n1,x\n2,x\n3,x\n", {"drop": []}, "single value 'x'", id="one class"),
        pytest.param("label\n1\n2\n3\n", {"drop": []}, "leaves no column", id="no features"),
        pytest.param("a,label\n1,\n2,\n", {"drop": []}, "0 rows have a target", id="no targets"),
        pytest.param(
            "a,label\n1,x\n2,y\n3,x\n", {"drop": [], "task": "regression"}, "not numbers", id="text as numbers"
        ),
        pytest.param("a,label\n1,inf\n2,2.5\n3,1\n", {"drop": []}, "not finite", id="an endless target"),
        pytest.param("a,label\n2020-01-01,1\n2020-01-02,0\n2020-01-03,1\n", {"drop": []}, "'a' holds date", id="dates"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        load(a_file(tmp_path, text), **settings)
    assert words in str(refused.value)


def test_a_file_that_is_missing_or_of_no_known_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read as csv"):
        load(tmp_path / "absent.csv")
    with pytest.raises(SettingError, match=r"set data\.format to csv or parquet"):
        load(a_file(tmp_path, name="data.txt"))
    assert load(a_file(tmp_path, name="data.txt"), format="csv").classes == ("no", "yes")
