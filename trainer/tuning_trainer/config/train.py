"""Settings of the training itself: how long, in what batches, within what bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section


class Train(Section):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Passes over the training part. A trial may be resumed with more."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000_000)] | Literal["full"] = 64
    """Samples a step: 1, a number, or `full` for the whole training part."""
    micro_batch: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Most samples in memory at once: a larger batch is computed in parts whose gradients are added up, with the same
    step (but for batch normalisation, which sees the parts); null: the whole batch.
    """
    l1: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """L1 penalty on weights: its sign, times this, is added to the gradient; biases and norms are left alone."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of a moving average of the weights, which is what is evaluated and exported; 0: none."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Longest gradient, by the norm over all weights; null: not clipped."""
    clip_value: Annotated[float, Field(gt=0)] | None = None
    """Largest size of each part of the gradient; null: not clipped."""
    evaluate_every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Epochs between two evaluations and reports; the last epoch is always evaluated."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Evaluations without a better value before training ends early; null: never. Not used in role Final."""
    restore_best: bool = False
    """At the end, go back to the weights of the evaluation with the best value of `monitor`: they are reported once
    more and exported. A final run has no validation data and keeps the last ones.
    """
    monitor: Annotated[str, Field(pattern=r"^val_[a-z0-9_]+$")] | None = None
    """The metric that `patience`, `restore_best` and the schedule `plateau` watch; null: the first objective of the
    study, else val_loss.
    """
