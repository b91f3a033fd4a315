"""Learning curves of real trainings, recorded once: a table to run schedulers on in simulated time.

    python -m tests.bench.search.curves --record [TASK ...]     # some minutes a task on one core

Each task is a small network on one of scikit-learn's sets, trained with every combination of a grid of settings for 81
epochs; recorded is the validation error (share of wrong answers) after each epoch, in thousandths of a percent point
as it fits 16 bits. The files `curves-<task>.npz` stand beside this one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
EPOCHS = 81
SCALE = 50_000
"""Errors are kept as whole numbers of 1/50,000."""

GRID: Mapping[str, Sequence[Any]] = {
    "lr": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
    "optimizer": ("sgd", "adam"),
    "width": (16, 64, 256),
    "dropout": (0.0, 0.4),
    "weight_decay": (0.0, 1e-2),
    "batch_size": (32, 128),
}
TASKS = ("digits", "breast_cancer", "digits_noise", "wine_noise")


@dataclass(frozen=True)
class Task:
    """One recorded table."""

    name: str
    errors: npt.NDArray[np.float64]
    """[configurations in the order of the grid, epochs]"""

    @cached_property
    def _index(self) -> dict[tuple[Any, ...], int]:
        return {point: index for index, point in enumerate(points())}

    def curve(self, parameters: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Validation error after epoch 1, 2, ..., 81."""
        return self.errors[self._index[tuple(parameters[name] for name in GRID)]]

    @property
    def best(self) -> float:
        """The least error that any configuration ends with."""
        return float(self.errors[:, -1].min())


def points() -> list[tuple[Any, ...]]:
    return list(itertools.product(*GRID.values()))


def load(name: str) -> Task:
    with np.load(HERE / f"curves-{name}.npz") as file:
        return Task(name, file["errors"].astype(np.float64) / SCALE)


def recorded() -> list[str]:
    return [name for name in TASKS if (HERE / f"curves-{name}.npz").exists()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", nargs="*", choices=TASKS, required=True, metavar="TASK")
    for name in parser.parse_args(arguments).record or TASKS:
        record(name)
    return 0


def record(name: str) -> None:
    import torch

    torch.set_num_threads(1)
    data = _data(name)
    began = time.monotonic()
    curves = []
    for number, point in enumerate(points()):
        curves.append(_train(dict(zip(GRID, point, strict=True)), data, seed=number))
        if number % 16 == 15:
            print(f"{name}: {number + 1} of {len(points())} in {time.monotonic() - began:.0f} s", flush=True)
    body = np.rint(np.array(curves) * SCALE).astype(np.uint16)
    np.savez_compressed(HERE / f"curves-{name}.npz", errors=body)


def _data(name: str) -> tuple[Any, Any, Any, Any]:
    """Standardised inputs and classes, half for training and half for validation."""
    import torch
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    noisy = name.endswith("_noise")
    if name.startswith("digits"):
        inputs, targets = datasets.load_digits(return_X_y=True)
    elif name.startswith("wine"):
        inputs, targets = datasets.load_wine(return_X_y=True)
    else:
        inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    if noisy:  # harder: columns that mean nothing, and some wrong labels
        rng = np.random.default_rng(7)
        inputs = np.hstack([inputs, rng.normal(size=(len(inputs), 100)) * inputs.std()])
        wrong = rng.random(len(targets)) < 0.15
        targets = np.where(wrong, rng.integers(0, targets.max() + 1, len(targets)), targets)
    parts = train_test_split(inputs, targets, test_size=0.5, random_state=1, stratify=targets)
    mean, deviation = parts[0].mean(0), parts[0].std(0)
    deviation[deviation == 0] = 1.0
    train, validation = ((part - mean) / deviation for part in parts[:2])
    return (
        torch.tensor(train, dtype=torch.float32),
        torch.tensor(validation, dtype=torch.float32),
        torch.tensor(parts[2]),
        torch.tensor(parts[3]),
    )


def _train(settings: Mapping[str, Any], data: tuple[Any, Any, Any, Any], *, seed: int) -> list[float]:
    """A network with two hidden layers; a training that diverges keeps the error of guessing."""
    import torch
    from torch import nn

    train, validation, targets, wanted = data
    torch.manual_seed(seed)
    width, classes = settings["width"], int(targets.max()) + 1
    model = nn.Sequential(
        nn.Linear(train.shape[1], width), nn.ReLU(), nn.Dropout(settings["dropout"]),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(settings["dropout"]), nn.Linear(width, classes),
    )  # fmt: skip
    if settings["optimizer"] == "adam":
        optimizer: Any = torch.optim.AdamW(
            model.parameters(), lr=settings["lr"], weight_decay=settings["weight_decay"], fused=True
        )
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr=settings["lr"], momentum=0.9, weight_decay=settings["weight_decay"] / 10, fused=True
        )
    guess = 1 - 1 / classes
    errors = []
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:  # the schedule is defined on the full budget
            group["lr"] = settings["lr"] * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        model.train()
        for rows in torch.randperm(len(train)).split(settings["batch_size"]):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(train[rows]), targets[rows])
            torch.autograd.backward(loss)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = model(validation)
        bad = not torch.isfinite(outputs).all()
        errors.append(guess if bad else float((outputs.argmax(1) != wanted).float().mean()))
    return errors


if __name__ == "__main__":
    sys.exit(main())
