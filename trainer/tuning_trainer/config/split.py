"""How samples are split. Part of the settings of each kind of data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tuning_trainer.config.base import Section

Share = Annotated[float, Field(ge=0, lt=1)]
Path = Annotated[str, Field(min_length=1, max_length=4096)]


class TrainingSplit(Section):
    """How training data is split where the data set brings its own test part."""

    validation: Share = 0.2
    """Share of the samples that is held out for validation: of all samples, or of the training files where tests have
    their own.
    """
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Cross-validation: all that is not for tests is divided in so many folds, `validation` is not used. A trial trains
    one model for each fold, all epoch by epoch, and reports the mean over the folds (`val_accuracy`) and their standard
    deviation (`val_accuracy_std`). Statistics are learned anew from each fold's training part. A final run trains one
    model on all of it.
    """
    fold: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Which fold alone is for validation, from 0; null: all, in one trial. From `folds` on, it is a fold of another
    division (repeated cross-validation). With `trial.replicates: {count: 5, parameter: fold}` in the study each
    replicate is one fold.
    """
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the split. Separate from the training seed: all trials of a study see the same parts."""
    stratify: bool = True
    """Keep the share of each class equal in all parts (classification only)."""

    @model_validator(mode="after")
    def _a_fold_needs_folds(self) -> TrainingSplit:
        if self.fold is not None and self.folds is None:
            raise ValueError(f"fold is {self.fold}, but folds is not set; say how many there are, or leave fold out")
        return self


class Split(TrainingSplit):
    """How one set of samples is split in training, validation and test."""

    test: Share = 0.2
    """Share of all samples held out as the test part. It is read in role Final only, once."""
