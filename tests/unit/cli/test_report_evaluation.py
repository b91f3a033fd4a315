"""What the report draws of an evaluation, and that no file of another form costs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.reports import a_report, a_trial
from tuning_operator.cli.report.evaluation import MAX_BYTES, read_evaluation
from tuning_operator.cli.report.figures import figures

CLASSES: dict[str, Any] = {
    "v": 1,
    "part": "test",
    "samples": 3,
    "kind": "classes",
    "confusion": {"class": ["<b>cat</b>", "dog"], "count": [[1, 0], [1, 1]]},
    "curves": [
        {
            "class": "dog",
            "auc": 1.0,
            "false_positive_rate": [0, 0, 1],
            "true_positive_rate": [0, 1, 1],
            "average_precision": 1.0,
            "recall": [1, 1],
            "precision": [1, 0.67],
        }
    ],
    "calibration": {"confidence": [0.6, 0.9], "accuracy": [0.5, 1], "count": [2, 1]},
}
NUMBERS: dict[str, Any] = {
    "v": 1,
    "part": "val",
    "samples": 2,
    "kind": "numbers",
    "pairs": {"target": [1.0, 2.0], "predicted": [1.5, 2.0]},
    "errors": {"count": [1, 1], "edge": [0.0, 0.25, 0.5]},
}


def drawn(evaluation: Any, trials: int = 3) -> dict[str, Any]:
    data = replace(a_report(*(a_trial(number) for number in range(trials))), evaluation=evaluation)
    return {figure.title: figure for figure in figures(data)}


def test_the_errors_of_a_classifier() -> None:
    found = drawn(CLASSES)
    assert [*found][:4] == ["Confusion matrix", "ROC curves", "Precision and recall", "Calibration"]
    assert found["ROC curves"].says.startswith("Of 3 samples of the test data. ")
    matrix = json.loads(found["Confusion matrix"].json)["data"][0]
    assert matrix["z"] == [[1, 0], [0.5, 0.5]]
    assert matrix["text"] == [[1, 0], [1, 1]]
    roc = json.loads(found["ROC curves"].json)["data"][0]
    assert (roc["x"], roc["y"], roc["name"]) == ([0, 0, 1], [0, 1, 1], "dog (1.0000)")


def test_the_errors_of_a_regression() -> None:
    found = drawn(NUMBERS)
    assert [*found][:2] == ["Predictions", "Errors"]
    assert json.loads(found["Errors"].json)["data"][0]["y"] == [1, 1]


def test_one_trial_is_enough() -> None:
    assert "Calibration" in drawn(CLASSES, trials=1)


@pytest.mark.parametrize(
    "change",
    [
        {"confusion": None},
        {"confusion": {"class": 3, "count": []}},
        {"curves": [{"class": "x"}]},
        {"calibration": {"count": [], "confidence": [], "accuracy": []}},
        {"curves": "x", "calibration": 3, "confusion": []},
        {"calibration": {"count": [0], "confidence": [1], "accuracy": [1]}},
        {"kind": "numbers", "pairs": 1},
        {"curves": [CLASSES["curves"][0] | {"auc": "x"}]},
        {"curves": [CLASSES["curves"][0] | {"recall": {"a": 1}}]},
    ],
    ids=str,
)
def test_a_file_of_another_form_costs_nothing_but_its_plot(change: dict[str, Any]) -> None:
    assert "History" in drawn({**CLASSES, **change})


def test_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(CLASSES))
    assert read_evaluation(path) == CLASSES
    for content in (
        "",
        "[]",
        "{",
        "[" * 100_000,
        json.dumps(CLASSES | {"v": 2}),
        json.dumps(CLASSES) + " " * MAX_BYTES,
    ):
        path.write_text(content)
        assert read_evaluation(path) is None
    assert read_evaluation(tmp_path / "none") is None
