"""Settings of the optimiser. Weight decay leaves biases and normalisation layers alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tuning_trainer.config.base import Section

Rate = Annotated[float, Field(gt=0, le=1000)]
Decay = Annotated[float, Field(ge=0, le=1000)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0, le=1)]


class _Optimizer(Section):
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer to the one before it; below 1, the first layers change least."""


class Sgd(_Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's by choice."""

    name: Literal["sgd"] = "sgd"
    lr: Rate = 0.01
    """Learning rate at its highest."""
    momentum: Momentum = 0.0
    """Share of the last update that is kept."""
    nesterov: bool = False
    """Look ahead along the momentum; needs a momentum above 0."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Sgd:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0; set optimizer.momentum or leave nesterov false")
        return self


class Adagrad(_Optimizer):
    """Adagrad: a rate per weight that falls with the squares of its gradients."""

    name: Literal["adagrad"] = "adagrad"
    lr: Rate = 0.01
    """Learning rate at its highest."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""
    epsilon: Epsilon = 1e-10
    """Added to the denominator."""


class RmsProp(_Optimizer):
    """RMSprop: Adagrad with a moving average."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: Rate = 0.001
    """Learning rate at its highest."""
    momentum: Momentum = 0.0
    """Share of the last update that is kept."""
    alpha: Momentum = 0.99
    """Decay of the average of squared gradients."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""
    epsilon: Epsilon = 1e-8
    """Added to the denominator."""


class Adam(_Optimizer):
    """Adam."""

    name: Literal["adam"] = "adam"
    lr: Rate = 0.001
    """Learning rate at its highest."""
    beta1: Momentum = 0.9
    """Decay of the average of gradients."""
    beta2: Momentum = 0.999
    """Decay of the average of squared gradients."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""
    epsilon: Epsilon = 1e-8
    """Added to the denominator."""


class AdamW(_Optimizer):
    """Adam with weight decay apart from the gradient."""

    name: Literal["adamw"] = "adamw"
    lr: Rate = 0.001
    """Learning rate at its highest."""
    beta1: Momentum = 0.9
    """Decay of the average of gradients."""
    beta2: Momentum = 0.999
    """Decay of the average of squared gradients."""
    weight_decay: Decay = 0.01
    """Share of each weight taken off per step, times the learning rate."""
    epsilon: Epsilon = 1e-8
    """Added to the denominator."""


class NAdam(_Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    name: Literal["nadam"] = "nadam"
    lr: Rate = 0.002
    """Learning rate at its highest."""
    beta1: Momentum = 0.9
    """Decay of the average of gradients."""
    beta2: Momentum = 0.999
    """Decay of the average of squared gradients."""
    momentum_decay: Decay = 0.004
    """How fast the momentum reaches `beta1`."""
    weight_decay: Decay = 0.0
    """Share of each weight taken off per step, times the learning rate."""
    epsilon: Epsilon = 1e-8
    """Added to the denominator."""


class Lion(_Optimizer):
    """Lion: steps of one size, by the sign of the momentum (Chen et al., 2023)."""

    name: Literal["lion"] = "lion"
    lr: Rate = 0.0001
    """Learning rate at its highest; a third to a tenth of Adam's."""
    beta1: Momentum = 0.9
    """Share of the momentum in the direction of a step."""
    beta2: Momentum = 0.99
    """Decay of the momentum."""
    weight_decay: Decay = 0.0
    """Share of each weight taken off per step, times the learning rate."""


class Muon(_Optimizer):
    """Muon: the momentum of each hidden matrix, made orthogonal (Jordan et al., 2024). What is no matrix, and the
    last layer, are trained by AdamW.
    """

    name: Literal["muon"] = "muon"
    lr: Rate = 0.02
    """Learning rate of the matrices at its highest."""
    momentum: Momentum = 0.95
    """Share of the last update that is kept."""
    nesterov: bool = True
    """Look ahead along the momentum."""
    weight_decay: Decay = 0.0
    """Share of each weight taken off per step, times the learning rate."""
    other_lr: Rate = 0.001
    """Learning rate of AdamW for all that is no hidden matrix."""


class ScheduleFreeSgd(_Optimizer):
    """SGD that needs no schedule (Defazio et al., 2024): it averages its weights instead of lowering the rate.

    What is evaluated and exported is the average. The running statistics of batch normalisation are those of the
    weights that are trained, not of the average; use layer normalisation, or expect the evaluation to suffer a little.
    """

    name: Literal["schedule_free_sgd"] = "schedule_free_sgd"
    lr: Rate = 0.1
    """Learning rate; larger than that of SGD."""
    momentum: Annotated[float, Field(ge=0.01, lt=1)] = 0.9
    """How far the point where gradients are taken lies towards the average."""
    weight_decay: Decay = 0.0
    """L2 penalty, added to the gradient."""


class ScheduleFreeAdamW(_Optimizer):
    """AdamW that needs no schedule (Defazio et al., 2024): it averages its weights instead of lowering the rate.

    What is evaluated and exported is the average. The running statistics of batch normalisation are those of the
    weights that are trained, not of the average; use layer normalisation, or expect the evaluation to suffer a little.
    """

    name: Literal["schedule_free_adamw"] = "schedule_free_adamw"
    lr: Rate = 0.0025
    """Learning rate."""
    beta1: Annotated[float, Field(ge=0.01, lt=1)] = 0.9
    """How far the point where gradients are taken lies towards the average."""
    beta2: Momentum = 0.999
    """Decay of the average of squared gradients."""
    weight_decay: Decay = 0.0
    """Added to the gradient as it is divided, times each weight."""
    epsilon: Epsilon = 1e-8
    """Added to the denominator."""


Optimizer = Annotated[
    Sgd | Adagrad | RmsProp | Adam | AdamW | NAdam | Lion | Muon | ScheduleFreeSgd | ScheduleFreeAdamW,
    Field(discriminator="name"),
]
