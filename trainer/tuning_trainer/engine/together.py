"""What a trial of several processes cannot do, said before it begins, with what to write instead."""

from __future__ import annotations

from tuning_trainer.config import SettingError
from tuning_trainer.engine.world import World


def refuse(world: World, *, privacy: bool = False, compress: bool = False, folds: bool = False) -> None:
    """Raises `SettingError` for what needs the whole training in one process."""
    if world.size == 1:
        return
    for wanted, what, why in (
        (privacy, "privacy", "whose account is of all samples"),
        (compress, "compress", "which changes the model while it trains"),
        (folds, "data.split.folds", "which trains several models"),
    ):
        if wanted:
            raise SettingError(
                f"{what} is asked for, {why}, but this trial has {world.size} processes; set runtime.processes to 1, "
                "or leave it out"
            )
