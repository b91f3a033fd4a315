"""One training, put together from its configuration and its data, with its reports and checkpoints."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import nn

from tuning_trainer import models
from tuning_trainer.artifacts.evaluation import has_curves, write_evaluation
from tuning_trainer.artifacts.store import key_of
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.schedule import Plateau as PlateauSettings
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.engine import together, training
from tuning_trainer.engine.best import Best
from tuning_trainer.engine.checkpoint import Checkpoints, identity_of
from tuning_trainer.engine.export import Export
from tuning_trainer.engine.failures import CutShortError, DivergedError, ExportError, StoppedError
from tuning_trainer.engine.folds import Folds, random_of, validate
from tuning_trainer.engine.keeping import Keeper
from tuning_trainer.engine.parallel import Parallel
from tuning_trainer.engine.patience import Patience
from tuning_trainer.engine.training import Training
from tuning_trainer.engine.watched import Watched
from tuning_trainer.engine.world import World
from tuning_trainer.measure.cost import cost, wanted
from tuning_trainer.models import held
from tuning_trainer.optim.plateau import Plateau
from tuning_trial.session import Session


class Trial:
    """A training in progress. Use `resume`, `train`, `conclude`, in this order.

    A step of its reports is an epoch. Role Search reports `train_loss` and `val_*`; role Final `train_loss`, and
    `test_*` once.
    """

    def __init__(
        self,
        config: TrainerConfig,
        session: Session,
        *,
        data: Prepared,
        others: Sequence[Prepared] = (),
        device: torch.device,
        world: World | None = None,
    ) -> None:
        """Builds model, optimiser and loop; in cross-validation `data` is the first fold and `others` are the further
        ones. Raises `SettingError` when settings do not fit the data.
        """
        self._config = config
        self._session = session
        self._data = data
        self._device = device
        self._world = world or World()
        together.refuse(self._world, folds=bool(others))
        environment = session.environment
        watched = Watched(config.train, environment.objectives, validates=data.validation is not None)
        self._plateau = None
        if isinstance(config.schedule, PlateauSettings):
            self._plateau = Plateau(config.schedule, maximize=watched.maximize)
        self._trainings: list[Training] = []
        random = []
        for each in (data, *others):
            torch.manual_seed(config.seed)  # each fold begins as it would alone
            self._trainings.append(
                training.build(
                    config,
                    data=each,
                    device=device,
                    plateau=self._plateau,
                    should_stop=session.should_stop,
                    stopped=session.stop.requested,
                    world=self._world,
                )
            )
            random.append(random_of(self._trainings[-1]))
        if self._world.rank:
            torch.manual_seed(config.seed + 1_000_003 * self._world.rank)  # from here on each draws its own numbers
        first = self._trainings[0]
        self.module, self._evaluate = first.module, first.evaluate
        self.loop = Folds(self._trainings, random) if others else first.loop
        self._watched = watched
        self._private = first.private
        if others and self._private is not None:
            raise SettingError(
                "privacy is asked for, but data.split.folds trains several models on the same samples, each of which "
                "spends its epsilon; use data.split.fold, or no folds"
            )
        self._best = Best(self._trainings, watched) if config.train.restore_best and data.validation else None
        self._patience = Patience(config.train, environment.objectives)
        self._wanted = wanted(config.measure, [o.metric for o in environment.objectives], device=device)
        checkpoints = Checkpoints(
            session.checkpoint_dir() if session.environment.checkpoint_dir else None,
            identity=identity_of(config, role=session.environment.role, data=_sizes(data)),
            keep=config.checkpoint.keep,
            key=key_of(config.encryption),
        )
        self._keeper = Keeper(checkpoints, first.parallel or Parallel(first.module, self._world), device=device)
        self._train_loss = math.nan
        self._saved_at = time.monotonic()
        self._saved_step: int | None = None
        self._ended_early = False
        self._owed = False
        """The evaluation of the last epoch was cut short."""
        self._exports = data.validation is None or config.export.always
        if self._exports and others:
            raise SettingError("export.always is true, but data.split.folds trains several models; use one of the two")
        if self._exports:
            with torch.random.fork_rng():
                self._export(self.module if self._world.size == 1 else self._plain()).check()
        fidelity = session.environment.fidelity
        self._rungs = frozenset((*fidelity.rungs, fidelity.until)) if fidelity is not None else frozenset()

    def resume(self) -> None:
        """Goes on from the newest checkpoint, or else from its parent's, if there is one. Raises `SettingError` for one
        that cannot be gone on from.
        """
        state = self._keeper.load()
        if state is None:
            self._inherit()
            return
        self.loop.restore(state["loop"])
        self._patience.restore(state["patience"])
        if self._plateau is not None:
            self._plateau.restore(state["plateau"])
        if self._best is not None:
            self._best.restore(state["best"])
        self._session.restore(state["report"])
        self._train_loss = state["train_loss"]
        self._ended_early = state["ended_early"]
        self._owed = state.get("owed", False)
        self._saved_step = self.loop.steps
        print(f"tuning_trainer: goes on after epoch {self.loop.progress.epoch}", file=sys.stderr, flush=True)

    def _inherit(self) -> None:
        parent = self._session.parent_dir()
        if parent is None:
            return
        state = self._keeper.inherit(parent)
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
        if not self._owed and (progress.epoch >= min(epochs, budget) or self._ended_early):
            self._report()
            if progress.epoch < epochs and not self._ended_early:
                self._stop()
        while (progress.epoch < epochs or self._owed) and not self._ended_early:
            if not self._owed:
                mean = self.loop.epoch()
                if mean is None:
                    self._stop()
                self._train_loss = mean
            rung, spent = progress.epoch in self._rungs, self._private is not None and self._private.exhausted()
            if rung or spent or progress.epoch == epochs or progress.epoch % self._config.train.evaluate_every == 0:
                metrics = self._report()
                if self._plateau is not None:
                    self._plateau.take(self._watched.value(metrics))
                if all(training.settled for training in self._trainings):
                    if self._best is not None:
                        self._best.take(metrics)
                    self._ended_early = self._data.validation is not None and self._patience.exhausted(metrics)
                self._ended_early |= spent
                if self._ended_early and progress.epoch < epochs and self._data.validation is not None:
                    self._publish(metrics | self._cost(self._data.validation))
            if progress.epoch < epochs and not self._ended_early:
                if self._world.any(self._session.should_stop()):
                    self._stop()
                late = time.monotonic() - self._saved_at >= self._config.checkpoint.interval
                if rung or self._world.from_main(late):
                    self._save()

    def conclude(self) -> None:
        """Saves the end of the training; in role Final also exports it and evaluates the test part, once. Raises
        `ExportError` when the disk refuses, and `SettingError` for a format that the model turns out not to have.
        """
        self._save()
        try:
            self._deliver()
        except CutShortError:
            self._stop()
        except OSError as error:
            raise ExportError(f"the model could not be written: {error}") from error

    def _deliver(self) -> None:
        if self._best is not None and self._best.put_back():
            self._publish(self._best.metrics)
        first = self._trainings[0]
        module = self._whole() if self._exports else None
        export = None if module is None else self._export(module)
        if export is not None:
            with first.judged():
                export.weights()
            if first.compression is not None and first.compression.active:
                export.compressed(first.delivered())
        if self._data.validation is None and _wants_test(self._session.environment.final):
            test = self._data.test()
            self._publish(self._trained() | self._evaluate(test, "test") | self._cost(test))
            self._draw("test", [(first, test)])
        if self._data.validation is not None and self._config.export.evaluation == "always":
            self._draw("val", [(t, t.data.validation) for t in self._trainings if t.data.validation is not None])
        if export is not None:  # after the test: what cannot be exported must not cost what was found out
            with first.judged():
                export.formats()
            export.card()

    def _draw(self, name: str, parts: Sequence[tuple[Training, Part]]) -> None:
        """Leaves the curves of an evaluation, over all folds."""
        if self._config.export.evaluation == "never" or not has_curves(self._data.task):
            return
        judged = [(t.data.task, t.evaluate.predict(part), part.targets) for t, part in parts]
        if not self._world.main:
            return
        for artifact, path in write_evaluation(self._session.checkpoint_dir(), part=name, judged=judged).items():
            self._session.artifact(artifact, path)

    def _whole(self) -> nn.Module | None:
        """The model with plain layers and floats in the main process, None in the others."""
        first = self._trainings[0]
        if self._world.size == 1 or first.parallel is None:
            return first.floats()
        with first.judged():
            return first.parallel.whole(self._plain)

    def _plain(self) -> nn.Module:
        """A model of the same kind, with other weights."""
        data = self._data
        module = models.build(self._config.model, layout=data.layout, outputs=data.task.outputs).to(self._device)
        held.fill(module, data.tables)
        return module

    def _export(self, module: nn.Module) -> Export:
        return Export(module, config=self._config, data=self._data, session=self._session)

    def _trained(self) -> dict[str, float]:
        """What there is to report of the training itself."""
        metrics = {"train_loss": self._train_loss}
        return metrics if self._private is None else metrics | {"epsilon": self._private.epsilon()}

    def _report(self) -> dict[str, float]:
        metrics = self._trained()
        if self._data.validation is not None:
            try:
                metrics |= validate(self._trainings)
            except CutShortError:
                self._owed = True
                self._stop()
            if self._owed:
                self._owed, self._saved_step = False, None  # the newest checkpoint still says that it is owed
            if self.loop.progress.epoch in (*self._rungs, self._config.train.epochs):
                metrics |= self._cost(self._data.validation)
        metrics = self._world.from_main(metrics)
        self._publish(metrics)
        if not math.isfinite(metrics.get("val_loss", 0.0)):
            raise DivergedError(f"val_loss is {metrics['val_loss']} after epoch {self.loop.progress.epoch}")
        return metrics

    def _cost(self, part: Part | None) -> dict[str, float]:
        """What the model costs as it would be exported; in cross-validation, the first of them."""
        if part is None:
            return {}
        first = self._trainings[0]
        if self._world.size > 1:
            module = self._whole()
            found = {} if module is None else cost(module, module, what=self._wanted, data=self._data, part=part)
            return self._world.from_main(found)
        with first.judged():
            return cost(first.delivered(), first.floats(), what=self._wanted, data=self._data, part=part)

    def _publish(self, metrics: dict[str, float]) -> None:
        if self.loop.room.reduced:
            metrics = metrics | {"micro_batch": float(self.loop.room.micro_batch or 0)}
        epoch, epochs = self.loop.progress.epoch, self._config.train.epochs
        self._session.report(epoch, steps=epochs, **metrics)
        if self._world.main:
            values = " ".join(f"{name}={value:.6g}" for name, value in metrics.items())
            print(f"epoch {epoch}/{epochs} {values}", flush=True)

    def _save(self) -> None:
        if self._saved_step == self.loop.steps:
            return
        state = {
            "loop": self.loop.state(),
            "patience": self._patience.state(),
            "report": self._session.state(),
            "train_loss": self._train_loss,
            "ended_early": self._ended_early,
            "owed": self._owed,
        }
        if self._plateau is not None:
            state["plateau"] = self._plateau.state()
        if self._best is not None:
            state["best"] = self._best.state()
        self._saved_at = time.monotonic()
        try:
            path = self._keeper.save(self.loop.steps, state)
        except OSError as error:  # the older checkpoints are whole; training is worth more than this one
            print(f"tuning_trainer: no checkpoint at step {self.loop.steps}: {error}", file=sys.stderr, flush=True)
            return
        self._saved_step = self.loop.steps
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
