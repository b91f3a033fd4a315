"""How samples are split. Part of the settings of each kind of data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuning_trainer.config.base import Section

Share = Annotated[float, Field(ge=0, lt=1)]
Path = Annotated[str, Field(min_length=1, max_length=4096)]


class TrainingSplit(Section):
    """How training data is split where the data set brings its own test part."""

    validation: Share = 0.2
    """Share of the samples that is held out for validation: of all samples, or of the training files where tests have
    their own.
    """
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the split. Separate from the training seed: all trials of a study see the same parts."""
    stratify: bool = True
    """Keep the share of each class equal in all parts (classification only)."""


class Split(TrainingSplit):
    """How one set of samples is split in training, validation and test."""

    test: Share = 0.2
    """Share of all samples held out as the test part. It is read in role Final only, once."""
