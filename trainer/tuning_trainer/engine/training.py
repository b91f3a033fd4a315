"""A model, what trains it and what judges it, put together from a configuration and its data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from tuning_trainer import augment, models
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config import optimizer as optimizer_settings
from tuning_trainer.config.schedule import Constant
from tuning_trainer.data.parts import Prepared
from tuning_trainer.engine.batches import Batches
from tuning_trainer.engine.compiling import compiled
from tuning_trainer.engine.device import autocast
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.loop import Loop
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.models import held
from tuning_trainer.optim import build as optimizers
from tuning_trainer.optim import gradients, schedule
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.plateau import Plateau
from tuning_trainer.optim.schedule_free import ScheduleFree


@dataclass(frozen=True, slots=True)
class Training:
    """One model of a trial."""

    module: nn.Module
    loop: Loop
    evaluate: Evaluator
    data: Prepared

    def judged(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are evaluated and kept."""
        return contextlib.nullcontext() if self.loop.average is None else self.loop.average.in_place()


def build(
    config: TrainerConfig,
    *,
    data: Prepared,
    device: torch.device,
    plateau: Plateau | None,
    should_stop: Callable[[], bool],
) -> Training:
    """Raises `SettingError` when settings do not fit the data or each other."""
    loss_of = data.task.loss(config.loss)
    module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
    held.fill(module, data.tables)
    model = compiled(module) if config.runtime.compile else module
    changed = augment.build(config.augment, layout=data.layout, task=data.task)
    batches = Batches(
        data.train, config.train.batch_size, seed=config.seed, normalize=data.normalize, change=data.draw or changed
    )
    weights = [p for p in module.parameters() if p.requires_grad]
    context = autocast(config.runtime, device)
    optimizer = optimizers.build(config.optimizer, module)
    average = _average(config, optimizer, weights)
    factor = schedule.factor(config.schedule, epochs=config.train.epochs, steps_per_epoch=len(batches))
    loop = Loop(
        model,
        module=module,
        optimizer=optimizer,
        batches=batches,
        loss=loss_of,
        factor=factor if plateau is None else plateau.over(factor),
        adjust=gradients.build(config.train, weights),
        average=average,
        room=Room(module, micro_batch=config.train.micro_batch, device=device),
        scaler=Scaler(optimizer, device) if config.runtime.precision == "fp16" else None,
        autocast=context,
        should_stop=should_stop,
    )
    evaluate = Evaluator(model, module=module, data=data, loss=loss_of, autocast=context, average=average)
    return Training(module, loop, evaluate, data)


def _average(
    config: TrainerConfig, optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]
) -> Average | ScheduleFree | None:
    if not isinstance(config.optimizer, optimizer_settings.ScheduleFreeSgd | optimizer_settings.ScheduleFreeAdamW):
        return Average(weights, config.train.ema) if config.train.ema else None
    name = config.optimizer.name
    if not isinstance(config.schedule, Constant):
        raise SettingError(
            f"schedule.name is {config.schedule.name!r} but optimizer {name} needs no schedule; use none, with a warmup"
        )
    if config.train.ema:
        raise SettingError(f"train.ema is {config.train.ema} but optimizer {name} averages by itself; use 0")
    return ScheduleFree(optimizer)
