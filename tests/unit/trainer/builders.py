"""Builders for trainer tests: a configuration from parameters, a session that can be told to stop, a run of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tuning_trainer import augment
from tuning_trainer.config import TrainerConfig, resolve
from tuning_trainer.data.parts import prepare
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.engine.run import run
from tuning_trainer.engine.trial import Trial
from tuning_trial import Environment, Session
from tuning_trial.stopping import StopSignal

CPU = torch.device("cpu")


class StopAfter(StopSignal):
    """A SIGTERM that comes when the trial asks for the n-th time."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self._left = questions

    def requested(self) -> bool:
        self._left -= 1
        self._seen |= self._left <= 0
        return self._seen


def a_config(settings: Mapping[str, Any] | None = None, /, **parameters: Any) -> TrainerConfig:
    """A small, quick configuration on one thread; parameters by their short names."""
    quick = {"data": "iris", "train": {"epochs": 2, "batch_size": 16}, "runtime": {"threads": 1, "device": "cpu"}}
    merged = {**quick, **(settings or {})}
    return resolve(merged, parameters).config


def a_session(directory: Path | None = None, *, stop_after: int | None = None, **fields: Any) -> Session:
    """A session that reports into memory."""
    stop = StopAfter(stop_after) if stop_after is not None else None
    return Session(Environment(checkpoint_dir=directory, **fields), stop=stop)


def a_final(directory: Path, **fields: Any) -> Session:
    """The session of a final run."""
    return a_session(directory, role="Final", **fields)


def the_data(config: TrainerConfig, *, final: bool = False) -> Prepared:
    """The prepared data of a configuration on the CPU."""
    return prepare(config.data, final=final, device=CPU, pixels=augment.wants_pixels(config.augment))


def a_trial(config: TrainerConfig, session: Session | None = None) -> Trial:
    """A trial that has not started, with weights from the configuration's seed."""
    torch.manual_seed(config.seed)
    session = session or a_session()
    return Trial(config, session, data=the_data(config, final=session.environment.role == "Final"), device=CPU)


def ran(config: TrainerConfig, session: Session | None = None) -> tuple[int, Session]:
    """The exit code of a whole run, and its session."""
    session = session or a_session()
    return run(config, session), session
