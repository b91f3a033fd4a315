"""The metrics, against scikit-learn's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

import tuning_trainer
from tuning_trainer.metrics import evaluation


def some_outputs(classes: int, count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    targets = torch.randint(0, classes, (count,), generator=generator)
    outputs = torch.randn(count, classes, generator=generator) + 1.5 * torch.eye(classes)[targets]
    return outputs, targets


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_classification(classes: int) -> None:
    outputs, targets = some_outputs(classes)
    predicted, truth = outputs.argmax(1).numpy(), targets.numpy()
    probabilities = torch.softmax(outputs, 1).numpy()
    from torchmetrics.functional.classification import multiclass_calibration_error

    average = "binary" if classes == 2 else "macro"
    auc = (
        reference.roc_auc_score(truth, probabilities[:, 1])
        if classes == 2
        else reference.roc_auc_score(truth, probabilities, multi_class="ovr")
    )
    one_hot = truth if classes == 2 else np.eye(classes)[truth]
    wanted = {
        "accuracy": reference.accuracy_score(truth, predicted),
        "precision": reference.precision_score(truth, predicted, average=average),
        "recall": reference.recall_score(truth, predicted, average=average),
        "f1": reference.f1_score(truth, predicted, average=average),
        "auc": auc,
        "pr_auc": reference.average_precision_score(one_hot, probabilities[:, 1] if classes == 2 else probabilities),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "log_loss": reference.log_loss(truth, probabilities),
        "calibration_error": float(
            multiclass_calibration_error(outputs.softmax(1), targets, num_classes=classes, n_bins=15)
        ),
    }
    given = evaluation.classification(outputs, targets)
    assert given.keys() == wanted.keys()
    for name, value in wanted.items():
        assert given[name] == pytest.approx(value, abs=1e-5), name


def test_regression() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(150, 50, 100)
    predicted = truth + random.normal(0, 20, 100)
    given = evaluation.regression(torch.from_numpy(predicted), torch.from_numpy(truth))
    assert given["mse"] == pytest.approx(reference.mean_squared_error(truth, predicted))
    assert given["mae"] == pytest.approx(reference.mean_absolute_error(truth, predicted))
    assert given["r2"] == pytest.approx(reference.r2_score(truth, predicted))


def test_a_class_missing_from_the_part_gives_no_error() -> None:
    outputs, targets = some_outputs(3)
    given = evaluation.classification(outputs[targets != 2], targets[targets != 2])
    assert all(0 <= value <= 1 for name, value in given.items() if name != "log_loss")


def test_one_sample_has_no_r2() -> None:
    assert np.isnan(evaluation.regression(torch.tensor([1.0]), torch.tensor([2.0]))["r2"])


def test_torchmetrics_is_entered_without_its_baggage() -> None:
    script = """
import sys, torch
from tuning_trainer.metrics import evaluation
assert evaluation.classification(torch.eye(3), torch.arange(3))["accuracy"] == 1.0
print([m for m in ("torchvision", "scipy", "torch._dynamo", "torchmetrics") if m in sys.modules])
"""
    environment = {"PYTHONPATH": str(Path(tuning_trainer.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_whole_of_torchmetrics_can_still_be_imported_afterwards() -> None:
    outputs, targets = some_outputs(3)
    before = evaluation.classification(outputs, targets)
    import torchmetrics

    theirs = torchmetrics.AUROC(task="multiclass", num_classes=3)(outputs, targets)
    assert before["auc"] == pytest.approx(float(theirs))
    assert evaluation.classification(outputs, targets) == before
