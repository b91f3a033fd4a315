"""How fast a model is on the device of the trial: time of one batch, and samples in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

WARM_UP = 5
"""Runs before the first that counts: caches, autotuning, clocks."""


def timed(model: Callable[[Tensor], object], batch: Tensor, *, repeats: int) -> list[float]:
    """Seconds of each of `repeats` runs on `batch`, without gradients, waiting for the device each time."""
    wait = torch.cuda.synchronize if batch.is_cuda else _nothing
    seconds = []
    with torch.inference_mode():
        for run in range(-WARM_UP, repeats):
            wait()
            begin = time.perf_counter()
            model(batch)
            wait()
            if run >= 0:
                seconds.append(time.perf_counter() - begin)
    return seconds


def speed(seconds: Sequence[float], *, batch_size: int) -> dict[str, float]:
    """The metrics of timed runs; the throughput is that of the median run."""
    p50, p95 = np.percentile(np.asarray(seconds), (50, 95)).tolist()
    return {
        f"latency_p50_ms_b{batch_size}": p50 * 1000,
        f"latency_p95_ms_b{batch_size}": p95 * 1000,
        f"throughput_b{batch_size}": batch_size / p50,
    }


def _nothing() -> None:
    return None
