"""How a model errs, beyond single numbers: confusion matrix, ROC and precision-recall curves, calibration, residuals.

JSON values of bounded size, whatever the number of samples and classes. numpy, no torch. Their meaning stands in
docs/trial-contract.md, under the artifact `evaluation`; tests compare with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MOST_CLASSES: Final = 50
"""Rows of the confusion matrix; the rarer classes are counted together."""
MOST_CURVES: Final = 10
"""Classes with curves of their own: those with the most samples."""
MOST_POINTS: Final = 200
"""Points of a curve."""
MOST_PAIRS: Final = 500
"""Predictions of a regression shown beside their targets."""
BINS: Final = 15
"""Of the confidence, as in the metric `calibration_error`."""
OTHERS: Final = "others"


def of_classes(probabilities: Floats, targets: Labels, names: Sequence[str]) -> dict[str, Any]:
    """For probabilities [N, K] of classes [N]: all but `part` of the file."""
    predicted = probabilities.argmax(axis=1)
    return {
        "kind": "classes",
        "samples": len(targets),
        "confusion": _confusion(predicted, targets, names),
        "curves": [
            _curves(probabilities[:, index], targets == index) | {"class": names[index]}
            for index in _chosen(targets, len(names))
        ],
        "calibration": _calibration(probabilities, predicted, targets),
    }


def of_numbers(predicted: Floats, targets: Floats) -> dict[str, Any]:
    """For numbers [N] and their targets [N], in their own unit."""
    chosen = np.unique(np.linspace(0, len(targets) - 1, min(len(targets), MOST_PAIRS)).astype(np.int64))
    ordered = np.argsort(targets, kind="stable")[chosen]
    counts, edges = np.histogram(predicted - targets, bins=30)
    return {
        "kind": "numbers",
        "samples": len(targets),
        "pairs": {"target": targets[ordered].tolist(), "predicted": predicted[ordered].tolist()},
        "errors": {"count": counts.tolist(), "edge": edges.tolist()},
    }


def _confusion(predicted: Labels, targets: Labels, names: Sequence[str]) -> dict[str, Any]:
    """`count[i][j]`: samples of class i that were taken for class j."""
    classes = list(names)
    if len(classes) > MOST_CLASSES:
        kept = _most_frequent(targets, len(classes), MOST_CLASSES - 1)
        place = np.full(len(classes), MOST_CLASSES - 1)
        place[kept] = np.arange(len(kept))
        predicted, targets = place[predicted], place[targets]
        classes = [*(classes[index] for index in kept), OTHERS]
    size = len(classes)
    counts = np.bincount(targets * size + predicted, minlength=size * size).reshape(size, size)
    return {"class": classes, "count": counts.tolist()}


def _chosen(targets: Labels, classes: int) -> list[int]:
    """The classes that get curves. Of two classes the second stands for both."""
    counts = np.bincount(targets, minlength=classes)
    possible = [1] if classes == 2 else _most_frequent(targets, classes, MOST_CURVES)
    return [index for index in possible if 0 < counts[index] < len(targets)]


def _most_frequent(targets: Labels, classes: int, most: int) -> list[int]:
    counts = np.bincount(targets, minlength=classes)
    return sorted(np.argsort(-counts, kind="stable")[:most].tolist())


def _curves(scores: Floats, positive: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """One class against all others, over every threshold that tells samples apart."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    true = np.cumsum(hits)[last]
    false = 1 + last - true
    rate_true, rate_false = np.append(0, true) / true[-1], np.append(0, false) / false[-1]
    precision = true / (true + false)
    recall = true / true[-1]
    average_precision = float(np.sum(np.diff(np.append(0, recall)) * precision))
    shown = _thinned(len(rate_true))
    drawn = _thinned(len(recall))
    return {
        "auc": float(np.sum(np.diff(rate_false) * (rate_true[1:] + rate_true[:-1]) / 2)),
        "false_positive_rate": rate_false[shown].tolist(),
        "true_positive_rate": rate_true[shown].tolist(),
        "average_precision": average_precision,
        "recall": recall[drawn].tolist(),
        "precision": precision[drawn].tolist(),
    }


def _calibration(probabilities: Floats, predicted: Labels, targets: Labels) -> dict[str, Any]:
    """Where predictions are as often right as they are confident, accuracy and confidence of each bin are equal."""
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(counts)
    sure = np.bincount(bins, weights=confidence, minlength=BINS)[filled] / counts[filled]
    right = np.bincount(bins, weights=predicted == targets, minlength=BINS)[filled] / counts[filled]
    return {"confidence": sure.tolist(), "accuracy": right.tolist(), "count": counts[filled].tolist()}


def _thinned(count: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(np.int64))
