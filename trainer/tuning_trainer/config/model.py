"""Settings of the model: which one, and its structure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.graph import Gat, Gcn
from tuning_trainer.config.own import CustomModel
from tuning_trainer.config.pretrained import Pretrained
from tuning_trainer.config.ratings import Factorization, TwoTower
from tuning_trainer.config.structure import Activation, Dropout
from tuning_trainer.config.torchvision import Torchvision


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


class Cnn(Section):
    """A convolutional network of stages, residual by choice (He et al., 2016): each stage halves the image and doubles
    the channels; then the mean over the image and a linear layer.
    """

    name: Literal["cnn"] = "cnn"
    layers: Annotated[int, Field(ge=1, le=6)] = 3
    """Stages."""
    blocks: Annotated[int, Field(ge=1, le=32)] = 1
    """Blocks of each stage, of two convolutions each."""
    width: Annotated[int, Field(ge=1, le=4096)] = 32
    """Channels of the first stage."""
    kernel: Annotated[int, Field(ge=1, le=11)] = 3
    """Side of the convolutions in pixels, odd."""
    residual: bool = True
    """Whether each block's input is added to its output."""
    activation: Activation = "relu"
    """Activation after each convolution."""
    norm: Literal["none", "batch", "layer"] = "batch"
    """Normalisation before each activation; `layer` is over all channels and pixels of a sample."""
    dropout: Dropout = 0.0
    """Share of the channels dropped at the end of each block while training."""


class Rnn(Section):
    """A recurrent network over a sequence: of image rows, of the numbers of a table, or of tokens; the last states are
    classified. As a language model each state predicts the next token.

    LSTM by Hochreiter and Schmidhuber (1997), GRU by Cho et al. (2014).
    """

    name: Literal["rnn"] = "rnn"
    cell: Literal["lstm", "gru", "tanh"] = "lstm"
    """What is repeated; `tanh` is the plain one (Elman, 1990)."""
    layers: Annotated[int, Field(ge=1, le=16)] = 1
    """Recurrent layers on top of each other."""
    width: Annotated[int, Field(ge=1, le=16384)] = 128
    """Size of the state of each layer and direction."""
    bidirectional: bool = False
    """Read the sequence from both ends."""
    dropout: Dropout = 0.0
    """Share of the values dropped after each layer while training."""


class Transformer(Section):
    """A Transformer encoder (Vaswani et al., 2017; normalisation first) over a sequence: of image rows, of the
    numbers of a table, or of tokens; the mean over the sequence is classified.
    """

    name: Literal["transformer"] = "transformer"
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Blocks of self-attention and feed-forward layer."""
    width: Annotated[int, Field(ge=2, le=16384)] = 64
    """Size of each position's vector; a multiple of `heads`."""
    heads: Annotated[int, Field(ge=1, le=256)] = 4
    """Attention heads."""
    feed_forward: Annotated[float, Field(gt=0, le=16)] = 4.0
    """Width of the feed-forward layer as a multiple of `width`."""
    activation: Activation = "gelu"
    """Activation of the feed-forward layer."""
    dropout: Dropout = 0.0
    """Share of the values dropped after attention and feed-forward layer while training."""


class Decoder(Section):
    """A Transformer decoder (Vaswani et al., 2017; normalisation first) over tokens: a language model, or, for text
    with labels, a classifier by the last token.
    """

    name: Literal["decoder"] = "decoder"
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Blocks of self-attention and feed-forward layer."""
    width: Annotated[int, Field(ge=2, le=16384)] = 64
    """Size of each position's vector; a multiple of `heads`."""
    heads: Annotated[int, Field(ge=1, le=256)] = 4
    """Attention heads."""
    feed_forward: Annotated[float, Field(gt=0, le=16)] = 4.0
    """Width of the feed-forward layer as a multiple of `width`."""
    activation: Activation = "gelu"
    """Activation of the feed-forward layer."""
    dropout: Dropout = 0.0
    """Share of the values dropped after embedding, attention and feed-forward layer while training."""
    positions: Literal["learned", "rotary"] = "learned"
    """How positions are told: a learned vector each, or by turning queries and keys (Su et al., 2021)."""
    tie: bool = True
    """Whether a language model's last layer is the embedding itself (Press and Wolf, 2017)."""


Model = Annotated[
    Linear
    | Mlp
    | Lenet
    | Cnn
    | Rnn
    | Transformer
    | Decoder
    | Pretrained
    | Torchvision
    | CustomModel
    | Gcn
    | Gat
    | Factorization
    | TwoTower,
    Field(discriminator="name"),
]
