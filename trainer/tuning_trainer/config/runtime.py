"""Settings of the machine: device, precision, compilation, threads, several processes, checkpoints. They change speed,
and results only by rounding.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section

HoldOn = Literal["auto", "device", "host"]


class Runtime(Section):
    """Where and how the training runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: the GPU where there is one. `cuda` without one is an error."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """fp32; tf32: faster fp32 products on GPUs; bf16, fp16: mixed precision. With fp16 the loss is scaled so that small
    gradients survive; a step whose gradients overflow is left out, and the scale falls.
    """
    compile: bool = False
    """torch.compile the model; where it cannot, the trial says so and goes on without."""
    channels_last: bool = False
    """For images: hold weights and images so that the channels of a pixel lie side by side, as convolutions in mixed
    precision on GPUs, and often those on CPUs, are fastest.
    """
    hold_data_on: HoldOn = "auto"
    """Where images, tables, texts and sounds are held. device: on the device, all of them; host: in the memory of the
    machine, from where a thread brings the next batches while the device works; results are the same. `auto`: on the
    device, unless the training samples take more than half of the free memory of a GPU. Data of other kinds are always
    on the device.
    """
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of one operation; null: OMP_NUM_THREADS, else the CPUs this process may use, at most 8."""
    deterministic: bool = False
    """Refuse operations that are not deterministic. On the CPU results are repeatable without it."""
    processes: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Processes that train together on this machine; `auto`: one for each GPU the trial sees, on the CPU one. Where
    RANK and WORLD_SIZE are set, as by torchrun, those count. Batches are those of all processes together.
    """
    parallel: Literal["auto", "ddp", "fsdp", "local_sgd"] = "auto"
    """How several processes train one model. ddp: each has the whole model, gradients are averaged; fsdp: each keeps a
    share of weights, gradients and the optimiser's state; local_sgd: each trains for itself, gradients are averaged
    within a machine only, and weights every `local_steps` steps. `auto`: fsdp where the model takes more than half of a
    GPU, else ddp.
    """
    local_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 8
    """For local_sgd: steps between two averages of the weights; they are averaged at the end of each epoch as well."""
    local_warmup: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """For local_sgd: first steps in which gradients are averaged as with ddp."""


class Checkpoint(Section):
    """When the state is saved in the checkpoint directory: after `interval`, when stopped, and at the end."""

    interval: Annotated[float, Field(ge=0)] = 30.0
    """Least seconds between two checkpoints while training; 0: after every epoch."""
    keep: Annotated[int, Field(ge=1, le=1000)] = 2
    """Checkpoints kept; with at least 2 a damaged one costs no more than the work since the one before."""
