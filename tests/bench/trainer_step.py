"""What a training step of the trainer costs against the hand-written PyTorch loop, and against PyTorch Lightning and
Hugging Face Accelerate. Bars: a ratio of 1.05 to the loop, and of 1.00 to each of the others.

    python -m tests.bench.trainer_step [--rounds 15] [--threads 1] [--only NAME...]

All train the same model from the same weights on the same tensors in batches of the same size with the same optimiser.
Epochs are interleaved, one of each a round in changing order; a ratio is between two epochs of the same round, of
which the median is told. The others are given what makes them fast: Lightning's barebones mode, a loader that takes a
batch at once, torch's fused optimisers. The loop is there both with torch's optimiser as it comes and with the fused
one. One thread on a CPU is measured in CPU time of the process, in which nothing waits, so that other processes on the
machine count for little; several threads and GPUs are measured by the clock.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.bench import rivals
from tests.unit.trainer.texts import documentation
from tuning_trainer import models
from tuning_trainer.config import TrainerConfig, resolve
from tuning_trainer.data.parts import prepare
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.engine.trial import Trial
from tuning_trial import Environment, Session

BAR = {"bare": 1.05, "bare fused": 1.05, "lightning": 1.0, "accelerate": 1.0}
WARM = 3
LANGUAGE_BYTES = 10_000
CASES: dict[str, dict[str, Any]] = {
    "lenet, digits, sgd, 64": {"data": "digits", "model": "lenet", "optimizer": "sgd", "momentum": 0.9},
    "lenet, digits, adam, 64": {"data": "digits", "model": "lenet", "optimizer": "adam"},
    "mlp 2x128, breast_cancer, adam, 32": {"data": "breast_cancer", "model": "mlp", "batch_size": 32},
    "mlp 3x512, digits, sgd, 64": {"data": "digits", "model": "mlp", "layers": 3, "width": 512, "optimizer": "sgd"},
    "encoder 2x64, digits, adam, 64": {"data": "digits", "model": "transformer", "optimizer": "adam"},
    "decoder 2x64, language, adam, 8": {"model": "decoder", "optimizer": "adam", "batch_size": 8},
}


def loss_of(data: Prepared) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss as one writes it by hand."""
    if data.layout.causal:
        return lambda outputs, targets: functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
    return functional.cross_entropy


def optimizer_of(config: TrainerConfig, module: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
    """torch's optimiser, by default or in its fastest form."""
    chosen = config.optimizer
    options: dict[str, Any] = {"lr": chosen.lr} | ({"fused": True} if fused else {})
    if chosen.name == "sgd":
        return torch.optim.SGD(module.parameters(), momentum=chosen.momentum, **options)
    return torch.optim.Adam(module.parameters(), **options)


def bare_epoch(config: TrainerConfig, data: Prepared, module: nn.Module, *, fused: bool) -> Callable[[], float]:
    """The loop as one writes it by hand; returns what trains one epoch and gives its mean loss."""
    optimizer, loss_function = optimizer_of(config, module, fused=fused), loss_of(data)
    inputs, targets, size = data.train.inputs, data.train.targets, int(config.train.batch_size)
    device = inputs.device

    def epoch() -> float:
        module.train()
        total = torch.zeros((), device=device)
        order = torch.randperm(len(targets), device=device)
        for start in range(0, len(targets), size):
            rows = order[start : start + size]
            optimizer.zero_grad()
            loss = loss_function(module(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / len(targets)

    return epoch


def compare(parameters: Mapping[str, Any], *, rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds of each epoch, by who trained it."""
    config = resolve({"runtime": {"threads": threads}, "train": {"epochs": 1_000_000}}, dict(parameters)).config
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = prepare(config.data, final=False, device=device)
    torch.manual_seed(0)
    module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
    trial = Trial(config, Session(Environment()), data=data, device=device)
    trial.module.load_state_dict(copy.deepcopy(module.state_dict()))
    loss, size = loss_of(data), int(config.train.batch_size)
    epochs: dict[str, Callable[[], object]] = {
        "ours": lambda: whole(trial.loop.epoch()),
        "lightning": rivals.lightning(
            copy.deepcopy(module),
            loss,
            lambda m: optimizer_of(config, m, fused=True),
            data.train,
            size,
            threads=threads,
        ),
        "accelerate": rivals.accelerate(
            copy.deepcopy(module), loss, lambda m: optimizer_of(config, m, fused=True), data.train, size
        ),
        "bare": bare_epoch(config, data, copy.deepcopy(module), fused=False),
        "bare fused": bare_epoch(config, data, copy.deepcopy(module), fused=True),
    }
    clock = time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    orders = itertools.cycle((list(epochs), list(reversed(epochs))))
    for number, order in zip(range(rounds + WARM), orders, strict=False):
        for name in order:
            _synchronize(device)
            begin = clock()
            epochs[name]()
            _synchronize(device)
            if number >= WARM:
                seconds[name].append(clock() - begin)
    return seconds


def whole(loss: float | None) -> None:
    """Takes the outcome of a training epoch; one that was stopped would look fast."""
    if loss is None:
        raise SystemExit("the trainer was asked to stop in the middle of an epoch; nothing is measured")


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> int:
    """Runs all cases; 1 when one is over a bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=list(CASES))
    options = parser.parse_args()
    print(" ".join(f"{name} {metadata.version(name)}" for name in ("torch", "pytorch-lightning", "accelerate")))
    slow = False
    with tempfile.TemporaryDirectory() as directory:
        text = Path(directory, "documentation.txt")
        text.write_text(documentation()[:LANGUAGE_BYTES])
        for name, parameters in CASES.items():
            if not any(name.startswith(wanted) for wanted in options.only):
                continue
            language = {"data": "language", "data.path": str(text), "data.window": 32, "data.vocabulary": "bytes"}
            given = parameters if "data" in parameters else language | parameters
            seconds = compare(given, rounds=options.rounds, threads=options.threads)
            told = []
            for other, bar in BAR.items():
                ratio = statistics.median(a / b for a, b in zip(seconds["ours"], seconds[other], strict=True))
                slow |= ratio > bar
                told.append(f"{ratio:.3f} x {other}{' (over the bar)' if ratio > bar else ''}")
            bare = statistics.median(seconds["bare"])
            print(f"{name}: {', '.join(told)} (bare epoch {bare * 1000:.1f} ms)", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
