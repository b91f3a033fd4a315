"""Settings of what a model costs: which of it is measured, and how. Objectives of a study that name such a metric have
it measured without a setting.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuning_trainer.config.base import Section

BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]


class Measure(Section):
    """What is measured of the model as it would be exported, at rungs and at the end, on the device of the trial."""

    size: bool = True
    """`parameters`, `nonzero_parameters` and `model_size_mb`: the bytes of its file, in millions."""
    latency: bool = False
    """`latency_p50_ms_bN`, `latency_p95_ms_bN` and `throughput_bN` (samples a second) for each batch size N."""
    batch_sizes: Annotated[tuple[BatchSize, ...], Field(min_length=1, max_length=8, strict=False)] = (1, 64)
    """The batch sizes of latency and energy."""
    repeats: Annotated[int, Field(ge=5, le=100_000)] = 50
    """Timed runs for each batch size."""
    flops: bool = False
    """`flops`: floating-point operations for one sample; a product and a sum are two. Zeros count."""
    memory: bool = False
    """`peak_memory_mb`: the most memory that the trial held, in millions of bytes: of the GPU where it has one, else of
    the process.
    """
    energy: bool = False
    """`energy_mj_bN`: millijoules for one sample at each batch size N, by the counter of the GPU; absent where there is
    none.
    """
