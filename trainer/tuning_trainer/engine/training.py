"""A model, what trains it and what judges it, put together from a configuration and its data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from tuning_trainer import augment, models
from tuning_trainer.compress.compression import Compression
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config import optimizer as optimizer_settings
from tuning_trainer.config.schedule import Constant
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.engine import parallel, together
from tuning_trainer.engine.batches import Batches
from tuning_trainer.engine.compiling import compiled
from tuning_trainer.engine.device import autocast
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.loop import Loop
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.memory_format import channels_last
from tuning_trainer.engine.parallel import Parallel
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.engine.staged import Delivery, Staged
from tuning_trainer.engine.teaching import Teaching
from tuning_trainer.engine.world import World, stop_question
from tuning_trainer.models import held
from tuning_trainer.optim import build as optimizers
from tuning_trainer.optim import gradients, schedule
from tuning_trainer.optim.average import Average
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.plateau import Plateau
from tuning_trainer.optim.schedule_free import ScheduleFree
from tuning_trainer.privacy import fit
from tuning_trainer.privacy.batches import PoissonBatches
from tuning_trainer.privacy.training import Private


@dataclass(frozen=True, slots=True)
class Training:
    """One model of a trial."""

    module: nn.Module
    loop: Loop | Staged
    evaluate: Evaluator | Delivery
    data: Prepared
    compression: Compression | None = None
    """None where there is none."""
    parallel: Parallel | None = None
    """How several processes train it; None where nothing but one process can."""

    @property
    def private(self) -> Private | None:
        """What keeps account of the privacy that is spent, where there is any."""
        return self.loop.private if isinstance(self.loop, Loop) else None

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Inside, the model has the weights that are evaluated and kept."""
        average = self.loop.average
        if average is None:
            yield
            return
        with average.in_place():
            if self.compression is not None:
                self.compression.cut()  # averages remember what was there before it was pruned
            yield

    def delivered(self) -> nn.Module:
        """The model as it would be exported now; a copy, unless nothing makes it another one than is trained."""
        return self.module if self.compression is None else _copied(self, self.compression.delivered)

    def floats(self) -> nn.Module:
        """The same with plain layers and floats."""
        return self.module if self.compression is None else _copied(self, self.compression.floats)

    @property
    def settled(self) -> bool:
        """Whether nothing changes any more but by training, so that evaluations can be compared."""
        return self.compression is None or self.compression.settled


def build(
    config: TrainerConfig,
    *,
    data: Prepared,
    device: torch.device,
    plateau: Plateau | None,
    should_stop: Callable[[], bool],
    stopped: Callable[[], bool] = lambda: False,
    world: World | None = None,
) -> Training:
    """`should_stop` is asked after each step, `stopped` before each batch of an evaluation. Raises `SettingError` when
    settings do not fit the data or each other.
    """
    loss = data.task.loss(config.loss)
    module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
    held.fill(module, data.tables)
    if config.runtime.channels_last:
        channels_last(module, data.layout)
    compression = Compression(config, module, data=data, device=device)
    world = world or World()
    together.refuse(world, privacy=config.privacy.wanted, compress=compression.wanted)
    if compression.wanted and config.privacy.wanted:
        raise SettingError("privacy is asked for, but compress trains in ways that opacus cannot; use one of the two")
    if not compression.wanted:
        shared = parallel.build(config.runtime, module, world, device=device)
        model = _runnable(config, shared.model)
        loop = _loop(
            config,
            module,
            model,
            loss,
            data=data,
            device=device,
            plateau=plateau,
            should_stop=stop_question(shared.world, should_stop),
            shared=shared,
        )
        judged = model if shared.world.size == 1 else _runnable(config, module)
        evaluate = Evaluator(
            shared.evaluated(judged),
            module=module,
            data=data,
            loss=loss,
            autocast=autocast(config.runtime, device),
            average=loop.average,
            stopped=stop_question(shared.world, stopped),
        )
        return Training(module, loop, evaluate, data, parallel=shared)

    def make() -> Loop:
        model = _runnable(config, module)
        taught, mixed = compression.taught(model, loss)
        return _loop(
            config,
            module,
            taught,
            mixed,
            data=data,
            device=device,
            plateau=plateau,
            should_stop=should_stop,
            after=compression.after_step,
        )

    staged = Staged(
        make, compression, _teaching(config, compression, data=data, device=device, stop=should_stop, stopped=stopped)
    )
    plain = Evaluator(
        module, module=module, data=data, loss=loss, autocast=autocast(config.runtime, device), stopped=stopped
    )
    made = Training(module, staged, plain, data, compression)
    return replace(made, evaluate=Delivery(plain, made.delivered))


def _teaching(
    config: TrainerConfig,
    compression: Compression,
    *,
    data: Prepared,
    device: torch.device,
    stop: Callable[[], bool],
    stopped: Callable[[], bool],
) -> Teaching | None:
    """The training of the teacher, with the same settings; None where there is no teacher to be trained."""
    teacher, epochs = compression.teacher, compression.teacher_epochs
    if teacher is None or not epochs:
        return None
    loss, context = data.task.loss(config.loss), autocast(config.runtime, device)
    loop = _loop(
        config, teacher, teacher, loss, data=data, device=device, plateau=None, should_stop=stop, epochs=epochs
    )
    evaluate = Evaluator(
        teacher, module=teacher, data=data, loss=loss, autocast=context, average=loop.average, stopped=stopped
    )
    return Teaching(loop, evaluate, data=data, epochs=epochs, compression=compression, should_stop=stop)


def _runnable(config: TrainerConfig, module: nn.Module) -> Callable[[Tensor], Tensor]:
    """`module`, or its compiled form where that is asked for."""
    return compiled(module) if config.runtime.compile else module


def _loop(
    config: TrainerConfig,
    module: nn.Module,
    model: Callable[[Tensor], Tensor],
    loss: LossFunction,
    *,
    data: Prepared,
    device: torch.device,
    plateau: Plateau | None,
    should_stop: Callable[[], bool],
    epochs: int | None = None,
    after: Callable[[torch.optim.Optimizer], None] | None = None,
    shared: Parallel | None = None,
) -> Loop:
    """`model` is `module`, compiled, shared with other processes, or with a teacher at its side."""
    shared = shared or Parallel(module, World())
    changed = augment.build(config.augment, layout=data.layout, task=data.task)
    change = data.draw or changed
    batches: Batches | PoissonBatches
    if config.privacy.wanted:
        seed = config.seed if config.privacy.reproducible else None
        batches = PoissonBatches(
            data.train, config.train.batch_size, seed=seed, normalize=data.normalize, change=change
        )
    else:
        batches = Batches(
            data.train,
            config.train.batch_size,
            seed=config.seed,
            normalize=data.normalize,
            change=change,
            world=shared.world,
        )
    weights = [p for p in module.parameters() if p.requires_grad]
    optimizer = optimizers.build(config.optimizer, module)
    average, context = _average(config, optimizer, weights), autocast(config.runtime, device)
    if isinstance(batches, PoissonBatches):
        fit.check(config, data=data, module=module, loss=loss)
        optimizer = Private(
            config.privacy,
            module=module,
            optimizer=optimizer,
            loss=loss,
            batches=batches,
            epochs=config.train.epochs,
            micro_batch=config.train.micro_batch,
            seed=config.seed if config.privacy.reproducible else None,
            autocast=context,
        )
    factor = schedule.factor(config.schedule, epochs=epochs or config.train.epochs, steps_per_epoch=len(batches))
    return Loop(
        model,
        module=module,
        parallel=shared,
        optimizer=optimizer,
        batches=batches,
        loss=loss,
        factor=factor if plateau is None else plateau.over(factor),
        adjust=gradients.build(config.train, weights),
        after=None if after is None else partial(after, optimizer),
        average=average,
        room=Room(module, micro_batch=config.train.micro_batch, device=device),
        scaler=Scaler(optimizer, device) if config.runtime.precision == "fp16" else None,
        autocast=context,
        should_stop=should_stop,
    )


def _copied(training: Training, made: Callable[[], nn.Module]) -> nn.Module:
    """What `made` gives for the weights that are judged, whatever becomes of the weights later."""
    with training.judged():
        found = made()
        return copy.deepcopy(found) if found is training.module and training.loop.average is not None else found


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
