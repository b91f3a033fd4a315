"""What a training step of the trainer costs against the hand-written PyTorch loop. Bar: a ratio of 1.05.

    python tests/bench/trainer_step.py [--rounds 15] [--threads 1]

Both train the same model from the same weights on the same tensors in the same batches with the same optimiser. Epochs
of both are interleaved, one of each a round; the ratio is between the medians, and between the least, of the seconds an
epoch.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from tuning_trainer import models
from tuning_trainer.config import TrainerConfig, resolve
from tuning_trainer.data.parts import Prepared, prepare
from tuning_trainer.engine.trial import Trial
from tuning_trial import Environment, Session

BAR = 1.05
CASES = {
    "lenet, digits, sgd, 64": {"data": "digits", "model": "lenet", "optimizer": "sgd", "momentum": 0.9},
    "lenet, digits, adam, 64": {"data": "digits", "model": "lenet", "optimizer": "adam"},
    "mlp 2x128, breast_cancer, adam, 32": {"data": "breast_cancer", "model": "mlp", "batch_size": 32},
    "mlp 3x512, digits, sgd, 64": {"data": "digits", "model": "mlp", "layers": 3, "width": 512, "optimizer": "sgd"},
}


def bare_epoch(config: TrainerConfig, data: Prepared, module: nn.Module) -> Callable[[], float]:
    """The loop as one writes it by hand; returns what trains one epoch and gives its mean loss."""
    lr = config.optimizer.lr
    optimizer: torch.optim.Optimizer
    if config.optimizer.name == "sgd":
        optimizer = torch.optim.SGD(module.parameters(), lr=lr, momentum=config.optimizer.momentum)
    else:
        optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    inputs, targets, size = data.train.inputs, data.train.targets, int(config.train.batch_size)
    device = inputs.device

    def epoch() -> float:
        module.train()
        total = torch.zeros((), device=device)
        order = torch.randperm(len(targets), device=device)
        for start in range(0, len(targets), size):
            rows = order[start : start + size]
            optimizer.zero_grad()
            loss = functional.cross_entropy(module(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / len(targets)

    return epoch


def compare(parameters: dict[str, object], *, rounds: int, threads: int) -> tuple[float, float, float]:
    """Ratio of the medians, ratio of the least, and the bare loop's median seconds an epoch."""
    config = resolve({"runtime": {"threads": threads}, "train": {"epochs": 1_000_000}}, parameters).config
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = prepare(config.data, final=False, device=device)
    torch.manual_seed(0)
    module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
    trial = Trial(config, Session(Environment()), data=data, device=device)
    trial.module.load_state_dict(copy.deepcopy(module.state_dict()))
    epochs: dict[str, Callable[[], object]] = {"bare": bare_epoch(config, data, module), "ours": trial.loop.epoch}
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(rounds + 3):
        for name, epoch in epochs.items() if number % 2 else reversed(epochs.items()):
            begin = time.perf_counter()
            epoch()
            if number >= 3:
                seconds[name].append(time.perf_counter() - begin)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return median["ours"] / median["bare"], min(seconds["ours"]) / min(seconds["bare"]), median["bare"]


def main() -> int:
    """Runs all cases; 1 when the least of one is over the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    slow = False
    for name, parameters in CASES.items():
        median, least, bare = compare(dict(parameters), rounds=options.rounds, threads=options.threads)
        slow |= min(median, least) > BAR
        print(f"{name}: {median:.3f} x by medians, {least:.3f} x by the least (bare epoch {bare * 1000:.1f} ms)")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
