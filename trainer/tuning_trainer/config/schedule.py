"""Settings of the learning-rate schedule. Each is a factor on `optimizer.lr`, defined over `horizon` epochs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section


class _Schedule(Section):
    warmup: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Epochs over which the factor first rises from 0 to 1, in a straight line."""
    horizon: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Epochs over which the schedule runs; null: `train.epochs`. Set it to the largest budget where a study varies
    `epochs`.
    """


class Constant(_Schedule):
    """The rate stays as it is."""

    name: Literal["none"] = "none"


class StepDecay(_Schedule):
    """Multiplied by `gamma` every `every` epochs."""

    name: Literal["step"] = "step"
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Epochs between two reductions."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of each reduction."""


class Exponential(_Schedule):
    """Multiplied by `gamma` after each epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Factor of each epoch."""


class Cosine(_Schedule):
    """Falls along half a cosine, from the end of the warm-up to the horizon; changes at every step."""

    name: Literal["cosine"] = "cosine"
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Factor at the end."""


class Polynomial(_Schedule):
    """Falls by a power of what is left, from the end of the warm-up to the horizon; a power of 1 is a straight line."""

    name: Literal["polynomial"] = "polynomial"
    power: Annotated[float, Field(gt=0, le=20)] = 1.0
    """The power."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Factor at the end."""


class OneCycle(Section):
    """Rises to the full rate and falls far below it, along half cosines (Smith and Topin, 2019)."""

    name: Literal["one_cycle"] = "one_cycle"
    horizon: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Epochs over which the cycle runs; null: `train.epochs`."""
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the cycle in which the rate rises."""
    start: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Factor at the beginning."""
    floor: Annotated[float, Field(ge=0, le=1)] = 4e-6
    """Factor at the end."""


class Plateau(_Schedule):
    """Multiplied by `gamma` when the metric of `train.monitor` has stopped getting better; counted in evaluations, as
    torch's ReduceLROnPlateau counts epochs. A final run has no validation data and watches train_loss.
    """

    name: Literal["plateau"] = "plateau"
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor of each reduction."""
    wait: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    """Evaluations without a better value that are let pass; the next one reduces the rate."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 1e-4
    """By how much a value must be better."""
    relative: bool = True
    """Whether `threshold` is a share of the best value, or in the metric's own unit."""
    cooldown: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Evaluations after a reduction that do not count."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Smallest factor."""


Schedule = Annotated[
    Constant | StepDecay | Exponential | Cosine | Polynomial | OneCycle | Plateau,
    Field(discriminator="name"),
]
