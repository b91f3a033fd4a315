"""Everything that a study wants to know of what a model costs. Measured where a training is judged for good: at rungs
and at its end, never in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.measure import Measure
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.measure.energy import energy
from tuning_trainer.measure.memory import peak_memory
from tuning_trainer.measure.operations import flops
from tuning_trainer.measure.size import size
from tuning_trainer.measure.speed import speed, timed

SIZE = frozenset({"parameters", "nonzero_parameters", "model_size_mb"})
_OF_A_BATCH = re.compile(r"(latency_p50_ms|latency_p95_ms|throughput|energy_mj)_b([1-9]\d{0,6})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured: what the settings ask for, and what objectives name."""

    size: bool
    flops: bool
    memory: bool
    latency: tuple[int, ...]
    """Batch sizes."""
    energy: tuple[int, ...]
    """Batch sizes."""
    repeats: int


def wanted(settings: Measure, metrics: Iterable[str], *, device: torch.device) -> Wanted:
    """What to measure for objectives `metrics`. Raises `SettingError` for energy that the device does not tell."""
    named = frozenset(metrics)
    found = [match.groups() for name in named if (match := _OF_A_BATCH.fullmatch(name))]
    energy_sizes = {int(size) for kind, size in found if kind == "energy_mj"}
    if energy_sizes and device.type != "cuda":
        raise SettingError(
            f"an objective is energy_mj_b{min(energy_sizes)}, but a {device.type} does not tell its energy; run the "
            "trial on an NVIDIA GPU, or choose another objective such as flops"
        )
    given = set(settings.batch_sizes)
    return Wanted(
        size=settings.size or bool(named & SIZE),
        flops=settings.flops or "flops" in named,
        memory=settings.memory or "peak_memory_mb" in named,
        latency=tuple(
            sorted({int(size) for kind, size in found if kind != "energy_mj"} | (given if settings.latency else set()))
        ),
        energy=tuple(sorted(energy_sizes | (given if settings.energy else set()))),
        repeats=settings.repeats,
    )


def cost(delivered: nn.Module, floats: nn.Module, *, what: Wanted, data: Prepared, part: Part) -> dict[str, float]:
    """The metrics of a model as it would be exported; `floats` is the same with plain layers, for what counts those.

    Batches are samples of `part`, again and again where it has too few.
    """
    device = part.device
    values: dict[str, float] = {}
    modes = [(module, module.training) for module in (delivered, floats)]
    for module, _ in modes:
        module.eval()
    try:
        if what.size:
            values |= size(delivered)
        if what.flops:
            values |= flops(floats, batch_of(part, 1, data))
        for count in what.latency:
            values |= speed(timed(delivered, batch_of(part, count, data), repeats=what.repeats), batch_size=count)
        for count in what.energy:
            values |= energy(delivered, batch_of(part, count, data))
        if what.memory:
            values |= peak_memory(device)
    finally:
        for module, training in modes:
            module.train(training)
    return values


def batch_of(part: Part, count: int, data: Prepared) -> Tensor:
    """`count` samples, ready for the model."""
    inputs = part.some(torch.arange(count) % len(part))
    return inputs if data.normalize is None else data.normalize(inputs)
