"""Settings of augmentation: what is done at random to the training samples, and to no others, each time one is used."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuning_trainer.config.base import Section

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0, le=1)]


class Augment(Section):
    """Each is off unless it is set. Images are changed before they are normalised; whatever was cut away is black."""

    flip: Probability = 0.0
    """Images: probability of being mirrored, left to right."""
    vertical_flip: Probability = 0.0
    """Images: probability of being turned upside down."""
    crop: Annotated[int, Field(ge=0, le=512)] = 0
    """Images: pixels of black border put on each side, before a random part of the old size is cut out."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Images: largest angle by which one is turned, in degrees."""
    brightness: Strength = 0.0
    """Images: largest change of brightness, as a factor from `1 - brightness` to `1 + brightness`."""
    contrast: Strength = 0.0
    """Images: largest change of contrast, likewise."""
    saturation: Strength = 0.0
    """Images in colour: largest change of saturation, likewise."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Images in colour: largest turn of the hue, as a share of the circle of colours."""
    rand_augment: Annotated[int, Field(ge=0, le=14)] = 0
    """Images: operations of RandAugment (Cubuk et al., 2020), done one after the other; 0: none. A sixteenth of a batch
    shares its operations.
    """
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """Strength of RandAugment's operations."""
    erasing: Probability = 0.0
    """Images: probability that a rectangle of 2 % to a third of one is blackened (Zhong et al., 2020)."""
    mixup: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Images, spectrograms and tables: mix each sample and its target with another's, by shares from a beta
    distribution with these two parameters (Zhang et al., 2018); 0: do not.
    """
    cutmix: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Images and spectrograms: replace a rectangle by another sample's, and as large a share of the target (Yun et al.,
    2019); 0: do not. With `mixup` too, each batch gets one of the two.
    """
    time_masks: Annotated[int, Field(ge=0, le=100)] = 0
    """Spectrograms: spans of time that are blanked (SpecAugment; Park et al., 2019)."""
    time_width: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Longest such span, in frames."""
    frequency_masks: Annotated[int, Field(ge=0, le=100)] = 0
    """Spectrograms: bands of frequencies that are blanked."""
    frequency_width: Annotated[int, Field(ge=1, le=100_000)] = 8
    """Widest such band, in mel bands."""
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Texts: share of the tokens that are left out."""
