"""CSV and Parquet files: columns become numbers, from training rows only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.trainer.builders import CPU, a_config, the_data
from tuning_trainer.config import SettingError
from tuning_trainer.config.data import Table
from tuning_trainer.config.split import Split
from tuning_trainer.data import table
from tuning_trainer.data.parts import prepare, wanted_folds

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
    return table.load(Table(**{"path": str(path), "target": "label", "drop": ["id"], "split": Split(), **settings}))[0]


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
        pytest.param("a,label\n1,x\n,y\n3,x\n", {"drop": [], "missing": "error"}, "1 of 3 rows lack", id="a gap"),
        pytest.param("a,label\n1,x\n,y\n3,x\n", {"drop": [], "missing": "drop"}, "2 rows are", id="too many gaps"),
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


TRAIN = "x,c,label\n" + "".join(f"{i},{'ab'[i % 2]},{['no', 'yes'][i % 2]}\n" for i in range(20))


def prepared(directory: Path, *, final: bool = False, **settings: Any) -> Any:
    data = {"name": "table", "path": str(a_file(directory, TRAIN)), "target": "label", **settings}
    return the_data(a_config({"data": data, "model": "linear"}), final=final)


def test_parts_can_have_files_of_their_own(tmp_path: Path) -> None:
    validation = a_file(tmp_path, "label,c,x,more\nyes,a,100,1\nno,zzz,,2\n", "validation.csv")
    test = tmp_path / "test.parquet"
    parquet.write_table(pa.table({"c": ["b", None], "label": ["no", "yes"], "x": [7, None]}), test)
    found = prepared(tmp_path, validation_path=str(validation), test_path=str(test))
    mean, deviation = np.arange(20).mean(), np.arange(20).std()  # of data.path alone, and of all of it
    assert (len(found.train), len(found.validation), len(found.test())) == (20, 2, 2)
    assert found.validation.inputs.tolist() == pytest.approx(np.array([[(100 - mean) / deviation, 1, 0], [0, 0, 0]]))
    assert found.validation.targets.tolist() == [1, 0]
    assert found.test().inputs.tolist() == pytest.approx(np.array([[(7 - mean) / deviation, 0, 1], [0, 0, 0]]))
    assert found.test().targets.tolist() == [0, 1]
    final = prepared(tmp_path, final=True, validation_path=str(validation), test_path=str(test))
    assert (len(final.train), final.validation, len(final.test())) == (22, None, 2)
    reduced = prepared(tmp_path, validation_path=str(validation), test_path=str(test), reduce={"select": 1})
    assert (len(reduced.train), reduced.validation.inputs.shape, reduced.test().inputs.shape) == (20, (2, 1), (2, 1))


def test_a_test_file_is_opened_in_the_end_only(tmp_path: Path) -> None:
    found = prepared(tmp_path, test_path=str(tmp_path / "absent.csv"))
    assert (len(found.train), len(found.validation)) == (16, 4)
    with pytest.raises(SettingError, match=r"data\.test_path: .*absent\.csv cannot be read as csv"):
        found.test()


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        pytest.param("x,label\n1,no\n", {}, "data.validation_path lacks the column 'c' of data.path", id="columns"),
        pytest.param("x,c,lable\n1,a,no\n", {}, "lacks the column 'label' of data.path; did you mean", id="target"),
        pytest.param("x,c,label\nlow,a,no\n", {}, "column 'x' holds text, but in data.path it holds num", id="kinds"),
        pytest.param("x,c,label\n1,a,maybe\n", {}, "data.validation_path has the class 'maybe'", id="a class"),
        pytest.param("x,c,label\n1,a,\n", {}, "data.validation_path: no row has a target", id="nothing"),
        pytest.param("x,c,label\n,a,no\n", {"missing": "drop"}, "no row is complete", id="nothing complete"),
        pytest.param("x,c,label\n1,a,no\n", {"split": {"validation": 0.2}}, "leave out one", id="share and file"),
        pytest.param("x,c,label\n1,a,no\n", {"split": {"folds": 3}}, "keep one", id="folds and file"),
    ],
)
def test_files_of_other_columns_or_classes_are_refused(
    tmp_path: Path, text: str, settings: dict[str, Any], words: str
) -> None:
    other = a_file(tmp_path, text, "other.csv")
    data = {"name": "table", "path": str(a_file(tmp_path, TRAIN)), "target": "label", "validation_path": str(other)}
    config = a_config({"data": data | settings, "model": "linear"})
    with pytest.raises(SettingError) as refused:
        prepare(config.data, final=False, device=CPU, fold=wanted_folds(config.data, final=False)[0])
    assert words in str(refused.value)


def test_rows_with_gaps_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = load(a_file(tmp_path, CSV + "6,50,Bonn,true,no\n7,51,Ulm,false,yes\n"), missing="drop")
    assert source.columns[0].values().tolist() == [20.0, 50.0, 51.0]
    assert source.targets.tolist() == [1, 0, 1]
    assert "data.path: 3 of 6 rows lack a value, first 'age' of row 2; they are left out" in capsys.readouterr().err
