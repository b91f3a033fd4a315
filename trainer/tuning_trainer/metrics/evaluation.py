"""The metrics of one evaluation, by torchmetrics, computed on the device and fetched together.

Classification: accuracy over all samples; precision, recall, F1 and the areas under the ROC curve and the curve of
precision over recall as the mean over the classes, or, with two classes, for the second one; balanced accuracy as the
mean recall of all classes; log-loss in nats; the expected calibration error over 15 bins of the confidence (Guo et al.,
2017). Regression: in the unit of the target.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tuning_trainer.metrics.torchmetrics_light import function

CLASSIFICATION = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "pr_auc",
    "balanced_accuracy",
    "log_loss",
    "calibration_error",
)
CALIBRATION_BINS = 15
REGRESSION = ("mse", "mae", "r2")


def classification(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Metrics of logits [N, K] for classes [N]. A class without a sample in `targets` does not count for the mean."""
    outputs = outputs.float()
    classes = outputs.shape[1]
    values = _binary(outputs, targets) if classes == 2 else _multiclass(outputs, targets, classes)
    return dict(zip(CLASSIFICATION, torch.stack(values).tolist(), strict=True))


def regression(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Metrics of numbers [N] for targets [N]. r2 is not-a-number for fewer than 2 samples."""
    error = outputs.double() - targets.double()
    values = [error.square().mean(), error.abs().mean()]
    if len(targets) >= 2:
        values.append(function("regression.r2", "r2_score")(outputs.double(), targets.double()))
    else:
        values.append(torch.full_like(values[0], torch.nan))
    return dict(zip(REGRESSION, torch.stack(values).tolist(), strict=True))


def _binary(outputs: Tensor, targets: Tensor) -> list[Tensor]:
    predicted = outputs.argmax(dim=1)
    options = {"validate_args": False}
    return [
        function("classification.accuracy", "binary_accuracy")(predicted, targets, **options),
        function("classification.precision_recall", "binary_precision")(predicted, targets, **options),
        function("classification.precision_recall", "binary_recall")(predicted, targets, **options),
        function("classification.f_beta", "binary_f1_score")(predicted, targets, **options),
        function("classification.auroc", "binary_auroc")(outputs.softmax(dim=1)[:, 1], targets, **options).float(),
        function("classification.average_precision", "binary_average_precision")(
            outputs.softmax(dim=1)[:, 1], targets, **options
        ).float(),
        *_of_all_classes(outputs, predicted, targets, 2),
    ]


def _multiclass(outputs: Tensor, targets: Tensor, classes: int) -> list[Tensor]:
    predicted = outputs.argmax(dim=1)
    options = {"num_classes": classes, "validate_args": False}
    mean = {**options, "average": "macro"}
    return [
        function("classification.accuracy", "multiclass_accuracy")(predicted, targets, average="micro", **options),
        function("classification.precision_recall", "multiclass_precision")(predicted, targets, **mean),
        function("classification.precision_recall", "multiclass_recall")(predicted, targets, **mean),
        function("classification.f_beta", "multiclass_f1_score")(predicted, targets, **mean),
        function("classification.auroc", "multiclass_auroc")(outputs.softmax(dim=1), targets, **mean).float(),
        function("classification.average_precision", "multiclass_average_precision")(
            outputs.softmax(dim=1), targets, **mean
        ).float(),
        *_of_all_classes(outputs, predicted, targets, classes),
    ]


def _of_all_classes(outputs: Tensor, predicted: Tensor, targets: Tensor, classes: int) -> list[Tensor]:
    counts = torch.bincount(targets, minlength=classes)
    hits = torch.bincount(targets[predicted == targets], minlength=classes)
    there = counts > 0
    return [
        (hits[there] / counts[there]).mean(),
        functional.cross_entropy(outputs, targets),
        _calibration_error(outputs, predicted, targets),
    ]


def _calibration_error(outputs: Tensor, predicted: Tensor, targets: Tensor) -> Tensor:
    """By hand: torchmetrics' own needs a loop on the host."""
    confidence = outputs.softmax(dim=1).gather(1, predicted[:, None]).squeeze(1)
    bins = (confidence * CALIBRATION_BINS).ceil().long().sub(1).clamp(0, CALIBRATION_BINS - 1)
    excess = (predicted == targets).to(confidence.dtype) - confidence
    sums = torch.zeros(CALIBRATION_BINS, dtype=confidence.dtype, device=confidence.device)
    return sums.index_add_(0, bins, excess).abs().sum() / len(targets)
