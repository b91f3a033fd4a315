"""Evaluation files against scikit-learn, and their size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import calibration, metrics

from tests.unit.trainer.builders import a_config, a_final, a_session, ran
from tuning_trainer.metrics import curves


def predictions(samples: int, classes: int, *, seed: int = 0, ties: bool = False) -> tuple[Any, Any]:
    """Probabilities that are right more often than not, and the classes."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, samples)
    scores = random.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[targets]
    scores = np.round(scores) if ties else scores
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(axis=1, keepdims=True), targets


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "with ties"])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_matrix_and_curves_are_those_of_scikit_learn(classes: int, ties: bool) -> None:
    probabilities, targets = predictions(150, classes, ties=ties)
    names = [f"c{index}" for index in range(classes)]
    found = curves.of_classes(probabilities, targets, names)
    predicted = probabilities.argmax(1)
    assert found["confusion"] == {"class": names, "count": metrics.confusion_matrix(targets, predicted).tolist()}
    assert [curve["class"] for curve in found["curves"]] == (["c1"] if classes == 2 else names)
    for curve in found["curves"]:
        index = names.index(curve["class"])
        wanted, scores = targets == index, probabilities[:, index]
        false, true, _ = metrics.roc_curve(wanted, scores, drop_intermediate=False)
        np.testing.assert_allclose(curve["false_positive_rate"], false)
        np.testing.assert_allclose(curve["true_positive_rate"], true)
        assert curve["auc"] == pytest.approx(metrics.roc_auc_score(wanted, scores))
        precision, recall, _ = metrics.precision_recall_curve(wanted, scores)
        np.testing.assert_allclose(curve["precision"], precision[:-1][::-1])
        np.testing.assert_allclose(curve["recall"], recall[:-1][::-1])
        assert curve["average_precision"] == pytest.approx(metrics.average_precision_score(wanted, scores))


def test_calibration_is_that_of_scikit_learn() -> None:
    probabilities, targets = predictions(400, 3)
    found = curves.of_classes(probabilities, targets, ["a", "b", "c"])["calibration"]
    right = probabilities.argmax(1) == targets
    accuracy, confidence = calibration.calibration_curve(right, probabilities.max(1), n_bins=curves.BINS)
    np.testing.assert_allclose(found["accuracy"], accuracy)
    np.testing.assert_allclose(found["confidence"], confidence)
    assert sum(found["count"]) == 400


def test_many_samples_and_classes_make_no_large_file() -> None:
    probabilities, targets = predictions(20_000, 120)
    found = curves.of_classes(probabilities, targets, [f"class number {index}" for index in range(120)])
    assert len(json.dumps(found)) < 200_000
    assert found["confusion"]["class"][-1] == "others"
    assert np.sum(found["confusion"]["count"]) == 20_000
    assert len(found["curves"]) == curves.MOST_CURVES
    curve = found["curves"][0]
    index = int(curve["class"].split()[-1])
    assert curve["auc"] == pytest.approx(metrics.roc_auc_score(targets == index, probabilities[:, index]))
    assert (curve["false_positive_rate"][-1], curve["true_positive_rate"][-1]) == (1, 1)


def test_a_class_without_samples_has_no_curve() -> None:
    probabilities, targets = predictions(50, 3)
    found = curves.of_classes(probabilities[targets != 2], targets[targets != 2], ["a", "b", "c"])
    assert [curve["class"] for curve in found["curves"]] == ["a", "b"]
    assert found["confusion"]["count"][2] == [0, 0, 0]


def test_numbers_are_shown_beside_their_targets() -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=5000) * 100
    predicted = targets + random.normal(size=5000)
    found = curves.of_numbers(predicted, targets)
    pairs = dict(zip(targets.tolist(), predicted.tolist(), strict=True))
    assert len(found["pairs"]["target"]) == curves.MOST_PAIRS
    assert all(pairs[t] == p for t, p in zip(*found["pairs"].values(), strict=True))
    assert found["pairs"]["target"][0] == targets.min()
    assert sum(found["errors"]["count"]) == 5000


@pytest.mark.parametrize("data", ["wine", "diabetes"])
def test_a_final_run_leaves_the_evaluation_of_the_test_part(tmp_path: Path, data: str) -> None:
    code, session = ran(a_config(data=data, epochs=5), a_final(tmp_path))
    assert code == 0
    report = session.snapshot()
    found = json.loads((tmp_path / report.artifacts["evaluation"]).read_text())
    assert (found["v"], found["part"]) == (1, "test")
    if data == "wine":
        counts = np.array(found["confusion"]["count"])
        assert found["kind"] == "classes"
        assert np.trace(counts) / counts.sum() == pytest.approx(report.final["test_accuracy"])
        assert np.mean([c["auc"] for c in found["curves"]]) == pytest.approx(report.final["test_auc"], abs=1e-5)
    else:
        assert found["kind"] == "numbers"
        target, predicted = (np.array(values) for values in found["pairs"].values())
        assert len(target) == found["samples"] == 88
        assert np.mean((target - predicted) ** 2) == pytest.approx(report.final["test_mse"], rel=1e-4)


@pytest.mark.parametrize(
    ("when", "final", "part"), [("final", False, None), ("always", False, "val"), ("never", True, None)]
)
def test_when_an_evaluation_is_left(tmp_path: Path, when: str, final: bool, part: str | None) -> None:
    session = a_final(tmp_path) if final else a_session(tmp_path)
    _, session = ran(a_config({"export": {"evaluation": when}}), session)
    file = session.snapshot().artifacts.get("evaluation")
    assert (None if file is None else json.loads((tmp_path / file).read_text())["part"]) == part
