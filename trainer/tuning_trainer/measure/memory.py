"""How much memory a trial took at most."""

from __future__ import annotations

import resource
import sys

import torch

MEGABYTE = 1_000_000


def peak_memory(device: torch.device) -> dict[str, float]:
    """`peak_memory_mb`: of the GPU what torch held at most, else what was resident of the process at most."""
    if device.type == "cuda":
        return {"peak_memory_mb": torch.cuda.max_memory_allocated(device) / MEGABYTE}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE}
