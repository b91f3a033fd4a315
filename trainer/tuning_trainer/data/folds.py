"""Divides what is not for tests in folds, of which each is the validation part once. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.split import TrainingSplit
from tuning_trainer.data.split import Parts


def fold_of(parts: Parts, targets: npt.NDArray[Any], settings: TrainingSplit, *, fold: int, classes: bool) -> Parts:
    """The fold for validation, the others for training; the test part stays as it is. From `settings.folds` on, it is a
    fold of a further division.

    With classes, and `stratify`, the share of each class is equal up to one sample in all folds. A function of the
    split's seed and the fold alone. Raises `SettingError` for more folds than samples.
    """
    count = settings.folds or 1
    pool = np.sort(np.concatenate([parts.train, parts.validation]))
    if count > len(pool):
        raise SettingError(f"data.split.folds is {count}, but there are {len(pool)} samples that are not for tests")
    random = np.random.default_rng([settings.seed, count, fold // count])
    groups = [pool]
    if classes and settings.stratify:
        groups = [pool[targets[pool] == value] for value in np.unique(targets[pool])]
    order = np.concatenate([random.permutation(group) for group in groups])
    inside = np.arange(len(order)) % count == fold % count  # dealt out like cards, class after class
    return Parts(random.permutation(order[~inside]), random.permutation(order[inside]), parts.test)
