"""Accuracy and size of a real compression study, recorded once: a table to search with several objectives.

    python -m tests.bench.search.compressed     # some ten minutes on one core

Every point of a grid is one whole run of the trainer on the digits: a network is trained, pruned and rounded, and
judged on the validation part; its size is that of its file. The table `compressed-digits.npz` stands beside this file.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parent / "compressed-digits.npz"
GRID: Mapping[str, Sequence[Any]] = {
    "lr": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "model.width": (8, 16, 32, 64),
    "model.layers": (1, 2),
    "prune.share": (0.0, 0.3, 0.5, 0.7, 0.85),
    "quantize.bits": (32, 8, 4),
}


@cache
def table() -> npt.NDArray[np.float64]:
    """[points of the grid in its order, (validation error, megabytes)]"""
    with np.load(FILE) as file:
        return file["results"].astype(np.float64)


def result(levels: Sequence[int]) -> tuple[float, float]:
    """Of the point with these places in the grid."""
    error, size = table()[np.ravel_multi_index(tuple(levels), tuple(map(len, GRID.values())))]
    return float(error), float(size)


def record() -> None:
    import torch

    torch.set_num_threads(1)
    began, results = time.monotonic(), []
    for number, point in enumerate(itertools.product(*GRID.values())):
        results.append(_run(dict(zip(GRID, point, strict=True)), seed=number))
        if number % 20 == 19:
            print(f"{number + 1} points in {time.monotonic() - began:.0f} s", flush=True)
    np.savez_compressed(FILE, results=np.array(results, dtype=np.float32))


def _run(parameters: Mapping[str, Any], *, seed: int) -> tuple[float, float]:
    from tuning_trainer.config import resolve
    from tuning_trainer.engine.run import run
    from tuning_trial import Environment, Session

    settings = {
        "data": {"name": "digits"},
        "model": "mlp",
        "schedule": "cosine",
        "train": {"epochs": 6, "batch_size": 64},
        "compress": {"prune": {"epochs": 3}, "quantize": {"epochs": 1}},
        "runtime": {"device": "cpu"},
        "seed": seed,
    }
    session = Session(Environment())
    code = run(resolve(settings, dict(parameters)).config, session)
    report = session.snapshot()
    if code != 0:
        raise RuntimeError(f"{parameters}: {report.error}")
    return 1 - report.final["val_accuracy"], report.final["model_size_mb"]


if __name__ == "__main__":
    record()
