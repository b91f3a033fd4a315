"""Epochs per second of small models against the usual loop over a DataLoader. Bar on a GPU: 3 times as many.

    python -m tests.bench.trainer_epochs [--seconds 5] [--only NAME...]

The usual loop is the one of torch's tutorials: samples on the host in a `TensorDataset`, a shuffling `DataLoader` that
puts batches together (on a GPU with pinned memory, without workers and with four, of which the faster one counts), a
copy of each batch to the device, torch's optimiser as it comes, and the loss of each batch read for the epoch's mean.
Model, batch size, precision and optimiser are the same. A GPU is used where there is one; on a CPU there is no bar.
CIFAR-10's shape is noise in bytes, as many as the real set has on a GPU and fewer on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.bench.trainer_step import whole
from tuning_trainer import models
from tuning_trainer.config import TrainerConfig, resolve
from tuning_trainer.data.parts import prepare
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.engine.trial import Trial
from tuning_trial import Environment, Session

BAR = 3.0
WORKERS = {"cuda": (0, 4), "cpu": (0,)}
SAMPLES = {"cuda": 50_000, "cpu": 1_000}
CASES: dict[str, dict[str, Any]] = {
    "digits, lenet, 64": {"model": "lenet", "batch_size": 64},
    "digits, mlp, 64": {"model": "mlp", "batch_size": 64},
    "cifar-10's shape, lenet, 128": {"model": "lenet", "batch_size": 128},
    "cifar-10's shape, cnn, 128": {"model": "cnn", "batch_size": 128},
}
Epoch = Callable[[], object]


def normalized(inputs: Tensor) -> Tensor:
    """Bytes as floats around 0."""
    return (inputs.float() - 127.5) / 64


def photos(digits: Prepared, device: torch.device) -> Prepared:
    """The classes of the digits, on as many images of 3x32x32 bytes as `SAMPLES` says."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (SAMPLES[device.type], 3, 32, 32), dtype=torch.uint8, generator=generator)
    targets = torch.randint(0, 10, (len(inputs),), generator=generator)
    train = Part(inputs.to(device), targets.to(device))
    return replace(digits, train=train, layout=replace(digits.layout, shape=(3, 32, 32)), normalize=normalized)


def usual(config: TrainerConfig, data: Prepared, module: nn.Module, *, workers: int, device: torch.device) -> Epoch:
    """The loop over a DataLoader."""
    set_ = TensorDataset(data.train.inputs.cpu(), data.train.targets.cpu())
    loader = DataLoader(
        set_,
        batch_size=int(config.train.batch_size),
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.optimizer.lr)

    def epoch() -> float:
        module.train()
        total = 0.0
        for inputs, targets in loader:
            x, y = inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
            if data.normalize is not None:
                x = data.normalize(x)
            optimizer.zero_grad()
            loss = functional.cross_entropy(module(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        return total / len(data.train)

    return epoch


def compare(parameters: Mapping[str, Any], *, small: bool, device: torch.device, seconds: float) -> dict[str, float]:
    """Epochs per second, by who trained them: the median of interleaved epochs."""
    settings = {"train": {"epochs": 1_000_000}, "runtime": {"threads": 1}, "data": "digits", "optimizer": "adamw"}
    config = resolve(settings, dict(parameters)).config
    data = prepare(config.data, final=False, device=device)
    data = data if small else photos(data, device)
    torch.manual_seed(0)
    module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
    trial = Trial(config, Session(Environment()), data=data, device=device)
    trial.module.load_state_dict(copy.deepcopy(module.state_dict()))
    epochs: dict[str, Epoch] = {"ours": lambda: whole(trial.loop.epoch())}
    for workers in WORKERS[device.type]:
        epochs[f"{workers} workers"] = usual(config, data, copy.deepcopy(module), workers=workers, device=device)
    took: dict[str, list[float]] = {name: [] for name in epochs}
    begin = time.perf_counter()
    for number in itertools.count():
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number:  # the first one starts workers and fills caches
                took[name].append(time.perf_counter() - start)
        if number >= 3 and time.perf_counter() - begin > seconds:
            break
    return {name: 1 / statistics.median(values) for name, values in took.items()}


def main() -> int:
    """Runs all cases; 1 when one is below the bar on a GPU."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", nargs="+", default=list(CASES))
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__} on {torch.cuda.get_device_name() if device.type == 'cuda' else 'a CPU'}")
    slow = False
    for name, parameters in CASES.items():
        if not any(name.startswith(wanted) for wanted in options.only):
            continue
        rates = compare(parameters, small=name.startswith("digits"), device=device, seconds=options.seconds)
        ratio = rates["ours"] / max(rate for who, rate in rates.items() if who != "ours")
        slow |= device.type == "cuda" and ratio < BAR
        told = ", ".join(f"{who} {rate:.2f}" for who, rate in rates.items())
        print(f"{name}: {ratio:.2f} x the usual loop (epochs per second: {told})", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
