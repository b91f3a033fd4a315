"""The compression of one training: what it does at the beginning of each epoch, and what the model becomes by it.

The state between any two steps is complete: masks, shapes and teacher are stored with the weights, so that a training
that was stopped in any stage goes on as if it had not been.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuning_trainer import models
from tuning_trainer.artifacts.store import key_of
from tuning_trainer.compress import channels, masks, sparse
from tuning_trainer.compress.distill import Distillation
from tuning_trainer.compress.plan import cubic, plan
from tuning_trainer.config import TrainerConfig
from tuning_trainer.config.compress import NoTeacher, SavedTeacher, SelfTeacher, TrainedTeacher
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.models import held
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.weighted import WeightedMean

CALIBRATION_BATCH = 256


class Compression:
    """Changes one module in place, stage by stage; without settings it does nothing and costs nothing."""

    def __init__(self, config: TrainerConfig, module: nn.Module, *, data: Prepared, device: torch.device) -> None:
        """Raises `SettingError` before any training where a stage does not fit the model, or the teacher the data."""
        self._settings = config.compress
        self._epochs = config.train.epochs
        self._seed = config.seed
        self._module = module
        self._data = data
        self._device = device
        self.plan = plan(self._settings, epochs=self._epochs)
        sparse.check(config)
        self._entered = -1
        self._masks: masks.Masks = {}
        self._masked: list[tuple[nn.Parameter, Tensor]] = []
        self._widths: list[int] = []
        self._names: tuple[str, ...] = ()
        if self.plan.channels is not None:
            self._widths = [group.width for group in channels.groups(module)]
        if self.plan.quantize is not None:
            from tuning_trainer.compress.quantize import chosen

            self._names = chosen(module, self._settings.quantize)
        self.teacher: nn.Module | None = None
        self.teacher_epochs = 0
        self._distillation: Distillation | None = None
        self._find_teacher(config)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return self.active or not isinstance(self._settings.distill, NoTeacher)

    @property
    def active(self) -> bool:
        """Whether the model ends in another form than it was trained in at first, or with weights that are zero."""
        return self.plan.first is not None or self._settings.prune.l1 > 0

    @property
    def settled(self) -> bool:
        """Whether nothing will change any more but by training, so that one value can be compared with the next."""
        return self._entered >= min(self.plan.settled, self._epochs - 1)

    def taught(
        self, model: Callable[[Tensor], Tensor], loss: LossFunction
    ) -> tuple[Callable[[Tensor], Tensor], LossFunction]:
        """Model and loss for the training, with the teacher between them where there is one."""
        distill = self._settings.distill
        if isinstance(distill, NoTeacher):
            return model, loss
        self._distillation = Distillation(model, loss, temperature=distill.temperature, weight=distill.weight)
        if self.teacher_epochs == 0 or self._teaches:
            self._distillation.teach(self.teacher)
        taught: LossFunction = self._distillation.loss
        return self._distillation.model, WeightedMean(taught, loss.amount) if isinstance(loss, WeightedMean) else taught

    def enter(self, epoch: int) -> bool:
        """Does what belongs to the beginning of `epoch`, once; whether the module has other tensors or layers by it, so
        that loop and optimiser must be made anew.
        """
        if epoch <= self._entered:
            return False
        self._entered = epoch
        anew = False
        if epoch == self.plan.first and isinstance(self._settings.distill, SelfTeacher):
            self._learn_from(copy.deepcopy(self._module))
        channel, prune = self._settings.channels, self._settings.prune
        done = _rises(epoch, self.plan.channels, self.plan.channel_ramp)
        if done is not None:
            share = cubic(channel.share, done=done, of=self.plan.channel_ramp)
            channels.shrink(self._module, [channels.remaining(w, share) for w in self._widths], norm=channel.norm)
            anew = True
        done = _rises(epoch, self.plan.prune, self.plan.prune_ramp)
        if done is not None:
            share = cubic(prune.share, done=done, of=self.plan.prune_ramp)
            anew = self._mask(masks.magnitude_masks(masks.prunable(self._module), share, scope=prune.scope)) or anew
        if epoch == self.plan.quantize:
            self._round_in_training()
            anew = True
        return anew

    def after_step(self, optimizer: Optimizer) -> None:
        """Keeps pruned weights at zero, and takes those there that sparse training does; to be called after each step
        of the optimiser.
        """
        penalty, until = self._settings.prune.l1, self.plan.prune
        if penalty and (until is None or self._entered < until):
            sparse.shrink(masks.prunable(self._module).values(), optimizer, penalty=penalty)
        self.cut()

    def cut(self) -> None:
        """Makes pruned weights zero."""
        with torch.no_grad():
            for weight, mask in self._masked:
                weight.mul_(mask)

    def delivered(self) -> nn.Module:
        """The model as it would be exported now: a quantised copy where its numbers are to be of few bits, else itself.

        To be called with the weights in place that are judged.
        """
        if not self._names or (self.plan.quantize != self._epochs and self._entered < (self.plan.quantize or 0)):
            return self._module
        from tuning_trainer.compress import aware, quantize

        plain = aware.plain(self._module)
        return quantize.quantized(plain, self._names, self._settings.quantize, forward=self._calibrate)

    def floats(self) -> nn.Module:
        """What is delivered, with plain layers whose weights are what its numbers stand for."""
        made = self.delivered()
        if made is self._module:
            return made
        from tuning_trainer.compress import quantize

        return quantize.restored(made)

    def graduate(self) -> None:
        """The teacher that was trained here is ready with the weights it has now, and teaches from now on."""
        self._learn_from(copy.deepcopy(self.teacher))

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        state: dict[str, Any] = {"entered": self._entered, "epochs": self._epochs}
        if self._entered >= 0 and self.plan.channels is not None and self._entered >= self.plan.channels:
            state["shapes"] = {name: list(value.shape) for name, value in self._module.state_dict().items()}
        if self._masks:
            state["masks"] = self._masks
        if self.teacher is not None and not isinstance(self._settings.distill, SavedTeacher) and self._teaches:
            state["teacher"] = self.teacher.state_dict()
        return state

    def restore(self, state: Mapping[str, Any]) -> bool:
        """From the checkpoint, before the loop is restored; whether loop and optimiser must be made anew first."""
        begun = self.plan.first is not None and state["entered"] >= 0 and state["entered"] >= self._first_of(state)
        if begun and state["epochs"] != self._epochs:
            raise SettingError(
                f"train.epochs is {self._epochs}, but the checkpoint is in a stage of compression that was planned for "
                f"{state['epochs']} epochs; keep those, or begin anew in another checkpoint directory"
            )
        self._entered = state["entered"]
        anew = False
        if "teacher" in state:
            self._restore_teacher(state["teacher"])
        if "shapes" in state:
            anew = channels.fit(self._module, {name: tuple(shape) for name, shape in state["shapes"].items()})
        if "masks" in state:
            anew = self._mask({name: mask.to(self._device) for name, mask in state["masks"].items()}) or anew
        quantize = self.plan.quantize
        if quantize is not None and quantize < self._epochs and self._entered >= quantize:
            self._round_in_training()
            anew = True
        return anew

    _teaches = False

    def _find_teacher(self, config: TrainerConfig) -> None:
        distill, data = self._settings.distill, self._data
        if isinstance(distill, SavedTeacher):
            from tuning_trainer.compress.teacher import saved_teacher

            self.teacher = saved_teacher(
                Path(distill.directory), data=data, device=self._device, key=key_of(config.encryption)
            )
        elif isinstance(distill, TrainedTeacher):
            made = models.build(distill.model, layout=data.layout, outputs=data.task.outputs).to(self._device)
            held.fill(made, data.tables)
            self.teacher, self.teacher_epochs = made, distill.epochs
        elif isinstance(distill, SelfTeacher) and self.plan.first is None:
            raise SettingError(
                "compress.distill is 'self', but there is no stage of compression before which the model could be its "
                "own teacher; give compress.channels or compress.prune a share, compress.quantize bits, or write none"
            )

    def _learn_from(self, teacher: nn.Module | None) -> None:
        self.teacher, self._teaches = teacher, True
        if self._distillation is not None:
            self._distillation.teach(teacher)

    def _restore_teacher(self, weights: Mapping[str, Tensor]) -> None:
        if self.teacher is None:
            self.teacher = copy.deepcopy(self._module)
        self.teacher.load_state_dict(weights)
        self._teaches = True
        if self._distillation is not None:
            self._distillation.teach(self.teacher)

    def _first_of(self, state: Mapping[str, Any]) -> int:
        first = plan(self._settings, epochs=state["epochs"]).first
        return state["epochs"] if first is None else first

    def _mask(self, found: masks.Masks) -> bool:
        """Takes the masks; whether there were none before."""
        if self._masks:
            for name, mask in found.items():
                self._masks[name].copy_(mask)
            self._point()
            return False
        self._masks = found
        self._point()
        return True

    def _point(self) -> None:
        """Binds the masks to the parameters as they are now."""
        weights = dict(self._module.named_parameters())
        self._masked = [(weights[name], mask) for name, mask in self._masks.items()]
        self.cut()

    def _round_in_training(self) -> None:
        from tuning_trainer.compress import aware

        aware.prepare(self._module, self._names, self._settings.quantize)
        self._point()

    def _calibrate(self, module: nn.Module) -> None:
        train, normalize = self._data.train, self._data.normalize
        generator = torch.Generator().manual_seed(self._seed)
        rows = torch.randperm(len(train), generator=generator)[: self._settings.quantize.calibration]
        for some in torch.split(rows, CALIBRATION_BATCH):
            inputs = train.some(some)
            module(inputs if normalize is None else normalize(inputs))


def _rises(epoch: int, begin: int | None, ramp: int) -> int | None:
    """Which rise of its ramp a stage makes in `epoch`, from 1; None for none."""
    return epoch - begin + 1 if begin is not None and begin <= epoch < begin + ramp else None
