"""Settings of the loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section


class AutoLoss(Section):
    """Cross-entropy for classification, mean squared error for regression."""

    name: Literal["auto"] = "auto"


ClassWeights = Literal["none", "balanced"]


class CrossEntropy(Section):
    """Cross-entropy of the classes."""

    name: Literal["cross_entropy"] = "cross_entropy"
    class_weights: ClassWeights = "none"
    """`balanced`: each class counts by the inverse of its share of the training samples."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over all classes."""


class MeanSquaredError(Section):
    """Mean squared error. For classification it compares the class probabilities with the label as 0 and 1 (Brier
    score).
    """

    name: Literal["mse"] = "mse"


class BinaryCrossEntropy(Section):
    """Cross-entropy of each class against all others, by a sigmoid each; with two classes the same as cross-entropy but
    for a factor.
    """

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share by which each label is drawn towards one half."""


class Focal(Section):
    """Cross-entropy in which samples that are classified well count less (Lin et al., 2017)."""

    name: Literal["focal"] = "focal"
    focus: Annotated[float, Field(ge=0, le=20)] = 2.0
    """How much less (the gamma of the paper); 0 is cross-entropy."""
    class_weights: ClassWeights = "none"
    """`balanced`: each class counts by the inverse of its share of the training samples."""


class MeanAbsoluteError(Section):
    """Mean absolute error, for regression."""

    name: Literal["mae"] = "mae"


class Huber(Section):
    """Squared for small errors, absolute for large ones (Huber, 1964), for regression."""

    name: Literal["huber"] = "huber"
    delta: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Error from which on it is absolute, in deviations of the target."""


class Bpr(Section):
    """Bayesian personalised ranking (Rendle et al., 2009), for ratings with implicit feedback: a chosen item is to be
    above one that was not. `auto` for such data; cross_entropy and binary_cross_entropy fit it too.
    """

    name: Literal["bpr"] = "bpr"


Loss = Annotated[
    AutoLoss | CrossEntropy | BinaryCrossEntropy | Focal | MeanSquaredError | MeanAbsoluteError | Huber | Bpr,
    Field(discriminator="name"),
]
