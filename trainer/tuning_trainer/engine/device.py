"""The device of a trial: which one, how many threads, what precision."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.runtime import Runtime

MAX_DEFAULT_THREADS = 8
MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose(runtime: Runtime, *, processes: int = 1) -> torch.device:
    """The device; shares the threads of the machine between its `processes`; sets threads and precision of this one.
    Raises `SettingError` for a GPU that is not there.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise SettingError(
            "runtime.device is 'cuda' but this trial sees no GPU; request one for the trial, or use auto or cpu"
        )
    torch.set_num_threads(runtime.threads or max(1, default_threads(os.environ) // processes))
    torch.backends.cuda.matmul.allow_tf32 = runtime.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = runtime.precision == "tf32"
    if runtime.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    cuda = runtime.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda") if cuda else torch.device("cpu")


def autocast(runtime: Runtime, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """The context of every forward pass: mixed precision for bf16 and fp16, else nothing."""
    if runtime.precision not in MIXED:
        return contextlib.nullcontext
    dtype = MIXED[runtime.precision]
    return lambda: torch.autocast(device.type, dtype=dtype)


def default_threads(environ: os._Environ[str] | dict[str, str]) -> int:
    """OMP_NUM_THREADS where set, else the CPUs this process may use by affinity and cgroup quota, at most 8."""
    told = environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cpus(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, min(available, quota or available, MAX_DEFAULT_THREADS))


def cgroup_cpus(path: Path) -> int | None:
    """The CPU limit of this container in whole CPUs, rounded up; None without one."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return None
