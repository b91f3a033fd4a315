"""Random changes of training batches. All randomness is torch's own, whose state is in every checkpoint, so that a
resumed training goes on bit by bit.

A batch is changed by the step that uses it and never ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from tuning_trainer.config.augment import Augment
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression
from tuning_trainer.tasks.task import Task

Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Inputs and targets of a batch, before normalisation -> what the model is to see and to learn."""

IMAGES = ("flip", "vertical_flip", "crop", "rotation", "brightness", "contrast", "erasing", "rand_augment")
COLOURS = ("saturation", "hue")
MIXES = ("mixup", "cutmix")
SPECTROGRAMS = ("time_masks", "frequency_masks")


def wants_pixels(augment: Augment) -> bool:
    """Whether images must come as they are, not normalised."""
    return any(getattr(augment, name) for name in (*IMAGES, *COLOURS))


def build(augment: Augment, *, layout: Layout, task: Task) -> Change | None:
    """All that the settings ask for, as one change; None for nothing. Raises `SettingError` for what does not fit the
    data.
    """
    _check(augment, layout, task)
    changes: list[Change] = []
    if wants_pixels(augment):
        from tuning_trainer.augment.images import ImageChange

        changes.append(ImageChange(augment, white=layout.white or 255))
    if augment.time_masks or augment.frequency_masks:
        from tuning_trainer.augment.spectrograms import SpectrogramChange

        changes.append(SpectrogramChange(augment))
    if augment.token_dropout:
        from tuning_trainer.augment.tokens import TokenDropout

        changes.append(TokenDropout(augment.token_dropout))
    if augment.mixup or augment.cutmix:
        from tuning_trainer.augment.mix import Mix

        changes.append(Mix(augment, classes=task.outputs if isinstance(task, Classification) else None))
    if len(changes) <= 1:
        return changes[0] if changes else None

    def all_changes(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for change in changes:
            inputs, targets = change(inputs, targets)
        return inputs, targets

    return all_changes


def _check(augment: Augment, layout: Layout, task: Task) -> None:
    images = layout.white is not None
    spectrograms = len(layout.shape) == 3 and not images
    numbers = layout.vocabulary is None and bool(layout.shape) and not layout.ids
    mixable = isinstance(task, Classification | Regression) and numbers
    for names, fits, needs in (
        (IMAGES, images, "images"),
        (COLOURS, images and layout.shape[0] == 3, "images in colour"),
        (SPECTROGRAMS, spectrograms, "spectrograms"),
        (("cutmix",), mixable and len(layout.shape) == 3, "images or spectrograms"),
        (("mixup",), mixable, "images, spectrograms or tables"),
        (("token_dropout",), layout.vocabulary is not None and isinstance(task, Classification | Regression), "texts"),
    ):
        for name in names:
            value = getattr(augment, name)
            if value and not fits:
                raise SettingError(f"augment.{name} is {value} but the data has no {needs}; set it to 0")
