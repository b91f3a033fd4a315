"""Settings of the model: which one, and its structure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Linear(Section):
    """Linear regression, or logistic regression for classes."""

    name: Literal["linear"] = "linear"
    bias: bool = True
    """Whether there is an intercept."""


class Mlp(Section):
    """A multi-layer perceptron on flattened inputs."""

    name: Literal["mlp"] = "mlp"
    layers: Annotated[int, Field(ge=0, le=64)] = 2
    """Number of hidden layers; 0 is a linear model."""
    width: Annotated[int, Field(ge=1, le=65536)] = 128
    """Nodes of each hidden layer."""
    activation: Activation = "relu"
    """Activation after each hidden layer."""
    dropout: Dropout = 0.0
    """Share of the nodes dropped after each hidden layer while training."""
    norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation before each activation."""


class Lenet(Section):
    """The LeNet-5 layout 6-16-120-84: convolution stages with pooling, then two dense layers.

    Images of 28x28 and more get 5x5 convolutions without padding, as in the paper (28x28 are padded to its 32x32);
    smaller ones, such as the 8x8 digits, get 3x3 convolutions that keep the size, and pooling ends where the image is 1
    pixel wide.
    """

    name: Literal["lenet"] = "lenet"
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Convolution stages, of 6, 16, 32 and 64 channels."""
    widen: Annotated[float, Field(ge=0.1, le=64)] = 1.0
    """Factor on all channels and on the dense layers 120 and 84."""
    kernel: Annotated[int, Field(ge=1, le=11)] | None = None
    """Side of the convolutions in pixels, odd; null: 5 for images of 28x28 and more, else 3."""
    pool: Literal["max", "average"] = "max"
    """Pooling after each stage."""
    activation: Activation = "relu"
    """Activation after each layer."""
    dropout: Dropout = 0.0
    """Share of the nodes dropped after each dense layer while training."""
    norm: Literal["none", "batch"] = "none"
    """Normalisation after each convolution."""


Model = Annotated[Linear | Mlp | Lenet, Field(discriminator="name")]
