"""One training, put together from its configuration and its data, with its reports and checkpoints."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import torch

from tuning_trainer import augment, models
from tuning_trainer.artifacts.evaluation import has_curves, write_evaluation
from tuning_trainer.artifacts.store import key_of
from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.parts import Part, Prepared
from tuning_trainer.engine.batches import Batches
from tuning_trainer.engine.checkpoint import Checkpoints, identity_of
from tuning_trainer.engine.compiling import compiled
from tuning_trainer.engine.device import autocast
from tuning_trainer.engine.evaluate import Evaluator
from tuning_trainer.engine.export import Export
from tuning_trainer.engine.failures import DivergedError, StoppedError
from tuning_trainer.engine.loop import Loop
from tuning_trainer.engine.memory import Room
from tuning_trainer.engine.patience import Patience
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.models import held
from tuning_trainer.optim import build as optimizers
from tuning_trainer.optim import gradients, schedule
from tuning_trainer.optim.average import Average
from tuning_trial.session import Session


class Trial:
    """A training in progress. Use `resume`, `train`, `conclude`, in this order.

    A step of its reports is an epoch. Role Search reports `train_loss` and `val_*`; role Final `train_loss`, and
    `test_*` once.
    """

    def __init__(self, config: TrainerConfig, session: Session, *, data: Prepared, device: torch.device) -> None:
        """Builds model, optimiser and loop. Raises `SettingError` when settings do not fit the data."""
        self._config = config
        self._session = session
        self._data = data
        self._device = device
        loss_of = data.task.loss(config.loss)
        self.module = models.build(config.model, layout=data.layout, outputs=data.task.outputs).to(device)
        held.fill(self.module, data.tables)
        model = compiled(self.module) if config.runtime.compile else self.module
        changed = augment.build(config.augment, layout=data.layout, task=data.task)
        batches = Batches(
            data.train,
            config.train.batch_size,
            seed=config.seed,
            normalize=data.normalize,
            change=data.draw or changed,
        )
        weights = [p for p in self.module.parameters() if p.requires_grad]
        average = Average(weights, config.train.ema) if config.train.ema else None
        context = autocast(config.runtime, device)
        optimizer = optimizers.build(config.optimizer, self.module)
        self.loop = Loop(
            model,
            module=self.module,
            optimizer=optimizer,
            batches=batches,
            loss=loss_of,
            factor=schedule.factor(config.schedule, epochs=config.train.epochs, steps_per_epoch=len(batches)),
            adjust=gradients.build(config.train, weights),
            average=average,
            room=Room(self.module, micro_batch=config.train.micro_batch, device=device),
            scaler=Scaler(optimizer, device) if config.runtime.precision == "fp16" else None,
            autocast=context,
            should_stop=session.should_stop,
        )
        self._evaluate = Evaluator(
            model, module=self.module, data=data, loss=loss_of, autocast=context, average=average
        )
        self._patience = Patience(config.train, session.environment.objectives)
        self._checkpoints = Checkpoints(
            session.checkpoint_dir() if session.environment.checkpoint_dir else None,
            identity=identity_of(config, role=session.environment.role, data=_sizes(data)),
            keep=config.checkpoint.keep,
            key=key_of(config.encryption),
        )
        self._train_loss = math.nan
        self._saved_at = time.monotonic()
        self._saved_step: int | None = None
        self._ended_early = False
        self._exports = data.validation is None or config.export.always
        if self._exports:
            self._export().check()
        fidelity = session.environment.fidelity
        self._rungs = frozenset((*fidelity.rungs, fidelity.until)) if fidelity is not None else frozenset()

    def resume(self) -> None:
        """Goes on from the newest checkpoint, or else from its parent's, if there is one. Raises `SettingError` for one
        that cannot be gone on from.
        """
        state = self._checkpoints.load(self._device)
        if state is None:
            self._inherit()
            return
        self.loop.restore(state["loop"])
        self._patience.restore(state["patience"])
        self._session.restore(state["report"])
        self._train_loss = state["train_loss"]
        self._ended_early = state["ended_early"]
        self._saved_step = self.loop.progress.step
        print(f"tuning_trainer: goes on after epoch {self.loop.progress.epoch}", file=sys.stderr, flush=True)

    def _inherit(self) -> None:
        parent = self._session.parent_dir()
        if parent is None:
            return
        state = self._checkpoints.inherit(parent, self._device)
        if state is None:
            print(f"tuning_trainer: {parent} has no checkpoint; begins anew", file=sys.stderr, flush=True)
            return
        self.loop.inherit(state["loop"])
        self._train_loss = state["train_loss"]
        told = f"goes on from its parent after epoch {self.loop.progress.epoch}"
        print(f"tuning_trainer: {told}", file=sys.stderr, flush=True)

    def train(self) -> None:
        """Trains to the last epoch or until patience ends, reporting after each evaluation.

        Every rung is evaluated and saved. Raises `StoppedError` after SIGTERM and at the end of the attempt's budget,
        with the state saved, and `DivergedError` when a loss is not finite.
        """
        progress, epochs = self.loop.progress, self._config.train.epochs
        budget = self._session.budget() or epochs
        if progress.epoch >= min(epochs, budget) or self._ended_early:
            self._report()
            if progress.epoch < epochs and not self._ended_early:
                self._stop()
        while progress.epoch < epochs and not self._ended_early:
            mean = self.loop.epoch()
            if mean is None:
                self._stop()
            self._train_loss = mean
            rung = progress.epoch in self._rungs
            if rung or progress.epoch == epochs or progress.epoch % self._config.train.evaluate_every == 0:
                metrics = self._report()
                self._ended_early = self._data.validation is not None and self._patience.exhausted(metrics)
            if progress.epoch < epochs and not self._ended_early:
                if self._session.should_stop():
                    self._stop()
                if rung or time.monotonic() - self._saved_at >= self._config.checkpoint.interval:
                    self._save()

    def conclude(self) -> None:
        """Saves the end of the training; in role Final also exports it and evaluates the test part, once."""
        self._save()
        export = self._export() if self._exports else None
        if export is not None:
            with self._judged():
                export.weights()
        if self._data.validation is None and _wants_test(self._session.environment.final):
            test = self._data.test()
            self._publish({"train_loss": self._train_loss} | self._evaluate(test, "test"))
            self._draw(test, "test")
        if self._data.validation is not None and self._config.export.evaluation == "always":
            self._draw(self._data.validation, "val")
        if export is not None:  # after the test: what cannot be exported must not cost what was found out
            with self._judged():
                export.formats()
            export.card()

    def _draw(self, part: Part, name: str) -> None:
        """Leaves the curves of an evaluation."""
        if self._config.export.evaluation != "never" and has_curves(self._data.task):
            outputs = self._evaluate.predict(part.inputs)
            written = write_evaluation(
                self._session.checkpoint_dir(), part=name, task=self._data.task, outputs=outputs, targets=part.targets
            )
            for artifact, path in written.items():
                self._session.artifact(artifact, path)

    def _export(self) -> Export:
        return Export(self.module, config=self._config, data=self._data, session=self._session)

    def _judged(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are evaluated and kept."""
        return contextlib.nullcontext() if self.loop.average is None else self.loop.average.in_place()

    def _report(self) -> dict[str, float]:
        metrics = {"train_loss": self._train_loss}
        if self._data.validation is not None:
            metrics |= self._evaluate(self._data.validation, "val")
        self._publish(metrics)
        if not math.isfinite(metrics.get("val_loss", 0.0)):
            raise DivergedError(f"val_loss is {metrics['val_loss']} after epoch {self.loop.progress.epoch}")
        return metrics

    def _publish(self, metrics: dict[str, float]) -> None:
        if self.loop.room.reduced:
            metrics = metrics | {"micro_batch": float(self.loop.room.micro_batch or 0)}
        epoch, epochs = self.loop.progress.epoch, self._config.train.epochs
        self._session.report(epoch, steps=epochs, **metrics)
        values = " ".join(f"{name}={value:.6g}" for name, value in metrics.items())
        print(f"epoch {epoch}/{epochs} {values}", flush=True)

    def _save(self) -> None:
        progress = self.loop.progress
        if self._saved_step == progress.step:
            return
        state = {
            "loop": self.loop.state(),
            "patience": self._patience.state(),
            "report": self._session.state(),
            "train_loss": self._train_loss,
            "ended_early": self._ended_early,
        }
        self._saved_at = time.monotonic()
        try:
            path = self._checkpoints.save(progress.step, state)
        except OSError as error:  # the older checkpoints are whole; training is worth more than this one
            print(f"tuning_trainer: no checkpoint at step {progress.step}: {error}", file=sys.stderr, flush=True)
            return
        self._saved_step = progress.step
        if path is not None:
            self._session.artifact("checkpoint", path.name)

    def _stop(self) -> NoReturn:
        self._save()
        progress = self.loop.progress
        raise StoppedError(f"stopped in epoch {progress.epoch + 1} at batch {progress.position}, step {progress.step}")


def _sizes(data: Prepared) -> dict[str, Any]:
    return {"samples": len(data.train), "shape": list(data.layout.shape), "outputs": data.task.outputs}


def _wants_test(final: Any) -> bool:
    """Whether a final run evaluates the test part: unless `spec.final.evaluate` says otherwise."""
    wanted = (final or {}).get("evaluate", "test")
    return wanted is True or str(wanted).lower() == "test"
