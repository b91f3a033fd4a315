"""What this machine can give to trials: CPU threads and GPUs. Found without torch, which takes seconds to import."""

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_DEVICE = re.compile(r"\(UUID: (?P<uuid>(?P<kind>GPU|MIG)-[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Machine:
    cpus: int
    gpus: tuple[str, ...] = ()
    """Values for `CUDA_VISIBLE_DEVICES`."""

    def gpus_per_trial(self, wanted: int) -> int:
        return min(wanted, len(self.gpus))

    def most_parallel(self, wanted_gpus: int) -> int:
        """How many trials this machine carries at once without two on one GPU or more trials than cores."""
        per_trial = self.gpus_per_trial(wanted_gpus)
        return min(self.cpus, len(self.gpus) // per_trial) if per_trial else self.cpus


def this_machine(environment: Mapping[str, str] = os.environ) -> Machine:
    return Machine(cpus=_cpus(), gpus=_gpus(environment))


def threads_environment(cpus: int, parallel: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Each of `parallel` trials its share of the cores; what a person has set already stays."""
    share = str(max(1, cpus // max(1, parallel)))
    return {name: share for name in THREAD_VARIABLES if name not in environment}


def devices(listing: str) -> tuple[str, ...]:
    """Devices in the output of `nvidia-smi -L`; a GPU cut into MIG devices counts as those."""
    result: list[str] = []
    for line in listing.splitlines():
        match = _DEVICE.search(line)
        if match is None:
            continue
        if match["kind"] == "MIG" and result and result[-1].startswith("GPU-"):
            result.pop()
        result.append(match["uuid"])
    return tuple(result)


class GpuPool:
    """Hands GPUs to attempts, always the ones with the fewest; shared only where more is asked for than there is."""

    def __init__(self, gpus: tuple[str, ...]) -> None:
        self._all = gpus
        self._held: dict[object, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    @property
    def any(self) -> bool:
        return bool(self._all)

    def take(self, owner: object, count: int) -> tuple[str, ...]:
        with self._lock:
            load = Counter(gpu for gpus in self._held.values() for gpu in gpus)
            chosen = sorted(self._all, key=lambda gpu: load[gpu])[:count]
            self._held[owner] = tuple(chosen)
            return self._held[owner]

    def keep(self, owner: object, gpus: tuple[str, ...]) -> None:
        """What an attempt of an earlier run still holds."""
        with self._lock:
            self._held[owner] = gpus

    def release(self, owner: object) -> None:
        with self._lock:
            self._held.pop(owner, None)


def _cpus() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CPU_MAX.read_text(encoding="ascii").split()
        return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed


def _gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(part.strip() for part in visible.split(",") if part.strip() not in ("", "-1", "NoDevFiles"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        found = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return devices(found.stdout)
