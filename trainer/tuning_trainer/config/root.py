"""The whole of the settings. Each section is one file beside this one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuning_trainer.config.augment import Augment
from tuning_trainer.config.base import Section
from tuning_trainer.config.compress import Compress
from tuning_trainer.config.data import Data
from tuning_trainer.config.encryption import Encryption
from tuning_trainer.config.export import Export
from tuning_trainer.config.loss import AutoLoss, Loss
from tuning_trainer.config.measure import Measure
from tuning_trainer.config.model import Mlp, Model
from tuning_trainer.config.optimizer import Adam, Optimizer
from tuning_trainer.config.privacy import Privacy
from tuning_trainer.config.runtime import Checkpoint, Runtime
from tuning_trainer.config.schedule import Constant, Schedule
from tuning_trainer.config.train import Train


class TrainerConfig(Section):
    """The settings of the shared trainer. Every one of them can be a parameter of a study."""

    data: Data
    """The data set."""
    model: Model = Mlp()
    """The model."""
    augment: Augment = Augment()
    """Augmentation."""
    loss: Loss = AutoLoss()
    """The loss."""
    optimizer: Optimizer = Adam()
    """The optimiser."""
    schedule: Schedule = Constant()
    """The learning-rate schedule."""
    train: Train = Train()
    """The training loop."""
    compress: Compress = Compress()
    """Compression: a teacher, then channels, weights and bits, in this order. Its settings have short names of two
    parts, as `prune.share`.
    """
    measure: Measure = Measure()
    """What the model costs: size, time, memory and energy."""
    runtime: Runtime = Runtime()
    """The machine."""
    checkpoint: Checkpoint = Checkpoint()
    """Checkpoints."""
    export: Export = Export()
    """What is left of the trained model."""
    privacy: Privacy = Privacy()
    """Differential privacy."""
    encryption: Encryption = Encryption()
    """Encryption of checkpoints and exports."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random in the training: first weights, order of samples, dropout."""
