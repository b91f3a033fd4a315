"""How much energy a model takes, by the counter that NVIDIA's driver keeps; nothing where there is none.

NVML is the driver's own library and is called as it is, so that the image needs no package for it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LIBRARY = "libnvidia-ml.so.1"
SECONDS = 1.0
"""How long the model runs: the counter moves every 20 to 100 ms."""

Counter = Callable[[], float | None]
"""Millijoules since some time; None where the device does not tell."""


def energy(
    model: Callable[[Tensor], object], batch: Tensor, *, counter: Counter | None = None, seconds: float = SECONDS
) -> dict[str, float]:
    """`energy_mj_bN` for one sample of a batch; nothing without a counter. All that the device does counts."""
    counter = counter or (nvml_counter(batch.device) if batch.is_cuda else None)
    begin = counter() if counter is not None else None
    if counter is None or begin is None:
        return {}
    runs, end = 0, time.monotonic() + seconds
    with torch.inference_mode():
        while time.monotonic() < end or not runs:
            model(batch)
            if batch.is_cuda:
                torch.cuda.synchronize()
            runs += 1
    last = counter()
    return {} if last is None else {f"energy_mj_b{len(batch)}": (last - begin) / (runs * len(batch))}


def nvml_counter(device: torch.device) -> Counter | None:
    """The energy counter of a GPU; None where there is no driver or no such GPU."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    handle = ctypes.c_void_p()
    bus: Any = torch.cuda.get_device_properties(device)
    name = f"{bus.pci_domain_id:08x}:{bus.pci_bus_id:02x}:{bus.pci_device_id:02x}.0".encode()
    if library.nvmlInit_v2() != 0 or library.nvmlDeviceGetHandleByPciBusId_v2(name, ctypes.byref(handle)) != 0:
        return None

    def count() -> float | None:
        value = ctypes.c_ulonglong()
        failed = library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value))
        return None if failed else float(value.value)

    return count
