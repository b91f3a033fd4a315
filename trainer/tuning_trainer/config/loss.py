"""Settings of the loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section


class AutoLoss(Section):
    """Cross-entropy for classification, mean squared error for regression."""

    name: Literal["auto"] = "auto"


class CrossEntropy(Section):
    """Cross-entropy of the classes."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over all classes."""


class MeanSquaredError(Section):
    """Mean squared error. For classification it compares the class probabilities with the label as 0 and 1 (Brier
    score).
    """

    name: Literal["mse"] = "mse"


Loss = Annotated[AutoLoss | CrossEntropy | MeanSquaredError, Field(discriminator="name")]
