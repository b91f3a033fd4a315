"""Settings of data that lies in files, with a folder for each class."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path, Share, Split

Milliseconds = Annotated[float, Field(ge=1, le=1000)]


class Speech(Section):
    """WAV files to be classified, as log-mel spectrograms: an image of one channel for cnn and lenet, a sequence of
    frames for rnn and transformer.

    PCM of 8, 16, 24 and 32 bit, and floating point; channels are averaged, other sample rates converted. A recording is
    filled up with silence, or cut, to `seconds`, at both ends alike. Each mel band is standardised.
    """

    name: Literal["speech"] = "speech"
    path: Path
    """The mounted folder, in which each folder is a class; its `.wav` files are the samples, at any depth."""
    test_path: Path | None = None
    """A folder of the same classes that is the test part; null: the share `split.test` of `path`."""
    damaged: Share = 0.05
    """Largest share of the files that may be unreadable; they are named and left out."""
    sample_rate: Annotated[int, Field(ge=1000, le=384_000)] = 16_000
    """Samples a second, to which recordings are converted."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 1.0
    """Length to which recordings are brought."""
    mels: Annotated[int, Field(ge=4, le=512)] = 40
    """Mel bands of the spectrogram, from 20 Hz to half the sample rate."""
    window: Milliseconds = 25.0
    """Length of a frame, in milliseconds."""
    hop: Milliseconds = 10.0
    """From one frame to the next, in milliseconds."""
    split: Split = Split()
    """How the files are split."""


class ImageFolder(Section):
    """PNG, JPEG, WebP or BMP files to be classified, brought to one size."""

    name: Literal["image_folder"] = "image_folder"
    path: Path
    """The mounted folder, in which each folder is a class; its images are the samples, at any depth."""
    test_path: Path | None = None
    """A folder of the same classes that is the test part; null: the share `split.test` of `path`."""
    damaged: Share = 0.05
    """Largest share of the files that may be unreadable; they are named and left out."""
    image_height: Annotated[int, Field(ge=1, le=4096)] = 64
    """Rows of pixels to which images are brought."""
    image_width: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Pixels of a row; null: as many as rows."""
    fit: Literal["crop", "stretch"] = "crop"
    """An image of another shape is cut at its longer sides, or stretched."""
    colour: bool = True
    """Three channels; false: grey."""
    split: Split = Split()
    """How the files are split."""
