"""The same training by PyTorch Lightning and by Hugging Face Accelerate, an epoch at a time, as their documentation has
it and in their fastest configuration.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from tuning_trainer.data.prepared import Part

Loss = Callable[[Tensor, Tensor], Tensor]
MakeOptimizer = Callable[[nn.Module], Optimizer]


class Rows(Dataset[Any]):
    """Gives a batch from the tensors at once: otherwise a loader puts it together from single samples."""

    def __init__(self, part: Part) -> None:
        self._inputs, self._targets = part.inputs, part.targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitems__(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        chosen = torch.tensor(rows, device=self._targets.device)
        return self._inputs[chosen], self._targets[chosen]


def loader(part: Part, size: int) -> DataLoader[Any]:
    """Random batches; the last may be smaller."""
    return DataLoader(Rows(part), batch_size=size, shuffle=True, collate_fn=lambda batch: batch)


def lightning(
    module: nn.Module, loss: Loss, optimizer: MakeOptimizer, part: Part, size: int, *, threads: int
) -> Callable[[], None]:
    """What trains one epoch. `Trainer.fit` runs in a thread of its own, which waits between epochs."""
    import pytorch_lightning as pl

    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_)?lightning.*")
    go, done = threading.Semaphore(0), threading.Semaphore(0)

    class Task(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            inputs, targets = batch
            return loss(self.module(inputs), targets)

        def configure_optimizers(self) -> Optimizer:
            return optimizer(self.module)

        def on_train_epoch_end(self) -> None:
            done.release()
            go.acquire()

    def fit() -> None:
        torch.set_num_threads(threads)
        go.acquire()
        pl.Trainer(max_epochs=-1, barebones=True, devices=1).fit(Task(), loader(part, size))

    threading.Thread(target=fit, daemon=True).start()

    def epoch() -> None:
        go.release()
        done.acquire()

    return epoch


def accelerate(module: nn.Module, loss: Loss, optimizer: MakeOptimizer, part: Part, size: int) -> Callable[[], None]:
    """What trains one epoch."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not part.inputs.is_cuda)
    model, step, batches = accelerator.prepare(module, optimizer(module), loader(part, size))

    def epoch() -> None:
        model.train()
        for inputs, targets in batches:
            step.zero_grad()
            accelerator.backward(loss(model(inputs), targets))
            step.step()

    return epoch
