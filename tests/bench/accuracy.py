"""How well the trainer's models predict, on real data, against scikit-learn in the same folds. Bars: see `CASES`.

    python -m tests.bench.accuracy [--only NAME...]

The bundled sets by 5-fold cross-validation: the trainer trains the folds as one trial, scikit-learn is fitted on the
same tensors of the same folds. Spoken digits, by a synthesiser, are told for speakers that were not heard in training;
nodes of a graph by their neighbours too, against their features alone; ratings against a ridge regression on who and
what.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from tests.samples import linked, rated, spoken
from tuning_trainer.config import resolve
from tuning_trainer.data.parts import prepare
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.engine.run import run
from tuning_trial import Environment, Session

FOLDS = {"folds": 5, "test": 0.0}
Score = tuple[float, float]
"""Of the trainer and of scikit-learn."""


@dataclass(frozen=True)
class Case:
    """What is measured, and what must be reached."""

    measure: Callable[[Path], Score]
    bar: float | None
    """None: the score of scikit-learn."""
    lower: bool = False
    """Whether a lower score is a better one."""

    def good(self, score: Score) -> bool:
        """Whether the bar is reached."""
        bar = score[1] if self.bar is None else self.bar
        return score[0] <= bar if self.lower else score[0] >= bar


def trained(settings: Mapping[str, Any], *, role: str = "Search", directory: Path | None = None) -> dict[str, float]:
    """The metrics of a whole run of the trainer."""
    session = Session(Environment(role=role, checkpoint_dir=directory))
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(resolve(settings, {}).config, session)
    assert code == 0, session.snapshot().error
    return dict(session.snapshot().final)


def data_of(settings: Mapping[str, Any], *, final: bool = False, fold: int | None = None) -> Prepared:
    """What the trainer trains on."""
    return prepare(resolve(settings, {}).config.data, final=final, device=torch.device("cpu"), fold=fold)


def arrays(part: Part) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Samples [N, F] and targets."""
    return part.inputs.flatten(1).numpy(), part.targets.numpy()


def in_folds(settings: Mapping[str, Any], metric: str, baseline: Callable[[Part, Part], float]) -> Score:
    """The means over the folds."""
    folds = [data_of(settings, fold=fold) for fold in range(5)]
    scores = [baseline(fold.train, fold.validation) for fold in folds if fold.validation is not None]
    return trained(settings)[f"val_{metric}"], statistics.mean(scores)


def accuracy_of(model: Any) -> Callable[[Part, Part], float]:
    """Accuracy, or R2, of a scikit-learn model."""
    return lambda train, held_out: float(model.fit(*arrays(train)).score(*arrays(held_out)))


def auc_of(model: Any) -> Callable[[Part, Part], float]:
    """Area under the ROC curve of a scikit-learn model."""

    def measure(train: Part, held_out: Part) -> float:
        inputs, targets = arrays(held_out)
        return float(roc_auc_score(targets, model.fit(*arrays(train)).predict_proba(inputs)[:, 1]))

    return measure


def digits(_: Path) -> Score:
    """A residual CNN against a support vector machine."""
    settings = {
        "data": {"name": "digits", "split": FOLDS},
        "model": {"name": "cnn", "layers": 2, "width": 24, "dropout": 0.1},
        "augment": {"rotation": 10.0},
        "optimizer": {"name": "adamw", "lr": 0.005, "weight_decay": 0.01},
        "schedule": {"name": "one_cycle"},
        "train": {"epochs": 24, "batch_size": 64, "evaluate_every": 24},
    }
    return in_folds(settings, "accuracy", accuracy_of(SVC(gamma="scale", C=10)))


def breast_cancer(_: Path) -> Score:
    """A perceptron against logistic regression."""
    settings = {
        "data": {"name": "breast_cancer", "split": FOLDS},
        "model": {"name": "mlp", "layers": 1, "width": 64, "dropout": 0.2},
        "optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.1},
        "train": {"epochs": 20, "batch_size": 32, "evaluate_every": 20},
    }
    return in_folds(settings, "auc", auc_of(LogisticRegression(max_iter=1000)))


def wine(_: Path) -> Score:
    """A perceptron against logistic regression."""
    settings = {
        "data": {"name": "wine", "split": FOLDS},
        "model": {"name": "mlp", "layers": 1, "width": 32},
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
        "train": {"epochs": 20, "batch_size": 16, "evaluate_every": 20},
    }
    return in_folds(settings, "accuracy", accuracy_of(LogisticRegression(max_iter=1000)))


def diabetes(_: Path) -> Score:
    """A small perceptron, by the average of its weights, against ridge regression."""
    settings = {
        "data": {"name": "diabetes", "split": FOLDS},
        "model": {"name": "mlp", "layers": 1, "width": 16, "activation": "tanh", "dropout": 0.1},
        "optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.3},
        "train": {"epochs": 40, "batch_size": 16, "evaluate_every": 40, "ema": 0.99},
    }
    return in_folds(settings, "r2", accuracy_of(Ridge(alpha=1.0)))


def spoken_digits(directory: Path) -> Score:
    """A CNN on log-mel spectrograms against a support vector machine on the same; 24 speakers were never heard."""
    people = spoken.speakers(96)
    heard = spoken.write_digits(directory / "heard", people[:72])
    others = spoken.write_digits(directory / "others", people[72:])
    settings = {
        "data": {
            "name": "speech",
            "path": str(heard),
            "test_path": str(others),
            "mels": 32,
            "hop": 20.0,
            "seconds": 0.8,
        },
        "model": {"name": "cnn", "layers": 3, "width": 12, "dropout": 0.1},
        "augment": {"time_masks": 1, "time_width": 6, "frequency_masks": 1, "frequency_width": 4},
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.01},
        "schedule": {"name": "one_cycle"},
        "train": {"epochs": 12, "batch_size": 24, "evaluate_every": 12},
    }
    data = data_of(settings, final=True)
    baseline = accuracy_of(SVC(gamma="scale", C=10))(data.train, data.test())
    return trained(settings, role="Final", directory=directory)["test_accuracy"], baseline


def graph(directory: Path) -> Score:
    """Graph convolution on a tenth of the digits' labels against logistic regression on the pixels."""
    files = linked.write_graph(directory)
    settings = {
        "data": {
            "name": "graph",
            "path": str(files / "digits.content"),
            "edges": str(files / "digits.cites"),
            "split": {"validation": 0.5, "test": 0.4},
        },
        "model": {"name": "gcn"},
        "optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 5e-4},
        "train": {"epochs": 60, "batch_size": "full", "evaluate_every": 60},
    }
    data = data_of(settings)
    assert data.validation is not None
    features = data.tables["features"].numpy()
    model = LogisticRegression(max_iter=1000).fit(features[data.train.inputs], data.train.targets)
    baseline = float(model.score(features[data.validation.inputs], data.validation.targets))
    return trained(settings)["val_accuracy"], baseline


def ratings(directory: Path) -> Score:
    """The error of factorisation against that of a ridge regression on users and items."""
    settings = {
        "data": {
            "name": "ratings",
            "path": str(rated.write_ratings(directory, users=200, items=100, each=20)),
            "split": {"validation": 0.2, "test": 0.1},
        },
        "model": {"name": "factorization", "width": 8},
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.02},
        "train": {"epochs": 15, "batch_size": 128, "evaluate_every": 15},
    }
    data = data_of(settings)
    assert data.validation is not None
    sizes = data.layout.ids
    one_hot = [torch.eye(sizes[0]), torch.eye(sizes[1])]
    train, held_out = (
        torch.cat([one_hot[k][part.inputs[:, k]] for k in range(2)], dim=1).numpy()
        for part in (data.train, data.validation)
    )
    error = Ridge(alpha=1.0).fit(train, data.train.targets).predict(held_out) - data.validation.targets.numpy()
    unit = data.description["target"]["scale"]
    return trained(settings)["val_rmse"], float(np.sqrt((error**2).mean())) * unit


CASES = {
    "digits, accuracy": Case(digits, 0.985),
    "breast_cancer, AUC": Case(breast_cancer, 0.99),
    "wine, accuracy": Case(wine, 0.97),
    "diabetes, R2": Case(diabetes, None),
    "spoken_digits, accuracy": Case(spoken_digits, 0.95),
    "graph, accuracy": Case(graph, None),
    "ratings, RMSE": Case(ratings, None, lower=True),
}


def main() -> int:
    """Measures all cases; 1 when a bar is not reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of names of cases")
    only = tuple(parser.parse_args().only)
    failed = False
    for name, case in CASES.items():
        if only and not name.startswith(only):
            continue
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            score = case.measure(Path(directory))
        failed |= not case.good(score)
        bar = "scikit-learn's" if case.bar is None else f"{case.bar:.3f}"
        seconds = time.perf_counter() - begin
        verdict = "good" if case.good(score) else "NOT REACHED"
        print(
            f"{name}: {score[0]:.4f} (scikit-learn {score[1]:.4f}; bar {bar}: {verdict}; {seconds:.0f} s)", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
