"""The settings of the trainer: pydantic models, one section a file, and their resolution. Imports no torch."""

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.resolve import Resolved, resolve
from tuning_trainer.config.root import TrainerConfig

__all__ = ["Resolved", "SettingError", "TrainerConfig", "resolve"]
