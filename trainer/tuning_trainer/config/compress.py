"""Settings of compression: a teacher, and stages that make the model smaller, in a fixed order.

The order is channels, prune, quantize: whole channels first, while the rest can still make up for them; single weights
next, as a mask would not survive the removal of channels; numbers of few bits last, as they cannot be trained as
weights are. The epochs of the stages are the last ones of `train.epochs`. A stage whose share is 0, or whose bits are
32, does not exist and takes no epochs, so that a study can tune whether there is one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.model import Model

Share = Annotated[float, Field(ge=0, lt=1)]
StageEpochs = Annotated[int, Field(ge=1, le=1_000_000)] | None
Temperature = Annotated[float, Field(gt=0, le=1000)]
Weight = Annotated[float, Field(ge=0, le=1)]


class NoTeacher(Section):
    """The targets alone are learned from."""

    name: Literal["none"] = "none"


class _Teacher(Section):
    temperature: Temperature = 4.0
    """Temperature of the softmax of teacher and student; higher ones tell more of the classes that are not the best."""
    weight: Weight = 0.5
    """Share of the teacher in the loss; the rest is the loss of the targets."""


class SavedTeacher(_Teacher):
    """A model that this trainer exported or saved, for samples of the same shape and the same outputs."""

    name: Literal["saved"] = "saved"
    directory: str
    """Where it is: the directory of a final run's export, or a trial's checkpoint directory."""


class TrainedTeacher(_Teacher):
    """A model that is trained first, in the same trial, with the same data, loss, optimiser and schedule."""

    name: Literal["trained"] = "trained"
    model: Model
    """The teacher: a model of its own."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Epochs of the teacher, before the first epoch of the trial."""


class SelfTeacher(_Teacher):
    """The model itself as it was before its first stage of compression; it teaches from there on."""

    name: Literal["self"] = "self"


Distill = Annotated[NoTeacher | SavedTeacher | TrainedTeacher | SelfTeacher, Field(discriminator="name")]


class Channels(Section):
    """Whole channels and neurons are removed, those of the smallest weights first; the tensors become smaller."""

    share: Share = 0.0
    """Share of the channels (convolutions) and neurons (hidden linear layers) that is removed of each layer; needs an
    mlp, a lenet or a cnn.
    """
    norm: Literal["l1", "l2"] = "l2"
    """How the weights of a channel are summed up to its size: by their sizes or by their squares."""
    epochs: StageEpochs = None
    """Epochs of this stage; null: a quarter of `train.epochs`."""
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of these epochs over which the share rises, epoch by epoch; 0: all at once. The optimiser begins anew each
    time.
    """


class Prune(Section):
    """Single weights of the smallest size become zero and stay it; biases and norms are left alone."""

    share: Share = 0.0
    """Share of the weights that becomes zero."""
    scope: Literal["model", "layer"] = "model"
    """Whether the smallest weights of the whole model are chosen, or the same share of each layer."""
    epochs: StageEpochs = None
    """Epochs of this stage; null: a quarter of `train.epochs`."""
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of these epochs over which the share rises as a cubic (Zhu and Gupta, 2017), at the beginning of each; 0:
    all at once.
    """
    l1: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Sparse training: an L1 penalty that makes weights exactly zero, until the stage begins, or to the end where
    `share` is 0. Each step takes the learning rate times this off the size of a weight, apart from the gradient, so
    that neither momentum nor Adam's scales count; `train.l1` is part of the gradient, and only makes weights small.
    """


class Quantize(Section):
    """Weights become numbers of few bits, and the model is judged and exported in that form."""

    bits: Literal[32, 8, 4, 1] = 32
    """Bits of a weight: 32 as trained; 8 and 4 by an affine map; 1 its sign, times one number a channel (XNOR-Net,
    Rastegari et al., 2016).
    """
    activations: Literal["float", "dynamic", "static"] = "dynamic"
    """What layers of 8 and 4 bits are fed with: the numbers as they are, or 8 bits whose range is that of each sample
    (dynamic) or was seen on training samples (static). With 1 bit they are fed with the numbers as they are.
    """
    epochs: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Epochs trained with rounded numbers (quantisation-aware; gradients pass straight through the rounding); 0: only
    the trained weights are rounded; null: 0 for 8 and 4 bits, a quarter of `train.epochs` for 1 bit.
    """
    group: Annotated[int, Field(ge=2, le=65536)] | None = 32
    """Weights of a linear layer of 4 bits that share a scale; null, or where it does not divide the layer's inputs: all
    of an output.
    """
    calibration: Annotated[int, Field(ge=1, le=1_000_000_000)] = 512
    """Training samples whose ranges `static` takes."""
    keep_ends: bool = False
    """Whether the first and the last layer keep their 32 bits."""


class Compress(Section):
    """Compression: a teacher, and stages in the order channels, prune, quantize."""

    distill: Distill = NoTeacher()
    """Who else is learned from."""
    channels: Channels = Channels()
    """Removal of whole channels and neurons."""
    prune: Prune = Prune()
    """Removal of single weights."""
    quantize: Quantize = Quantize()
    """Numbers of few bits."""
