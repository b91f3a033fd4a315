"""Settings of the data: where it comes from and how it is split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.folders import ImageFolder, Speech
from tuning_trainer.config.graph import Graph
from tuning_trainer.config.own import CustomData
from tuning_trainer.config.ratings import Ratings
from tuning_trainer.config.reduce import Reduce
from tuning_trainer.config.split import Path, Split, TrainingSplit
from tuning_trainer.config.text import Language, Text


class Digits(Section):
    """scikit-learn's digits: 1,797 images of 8x8, 10 classes."""

    name: Literal["digits"] = "digits"
    split: Split = Split()
    """How the samples are split."""


class BreastCancer(Section):
    """scikit-learn's breast cancer set: 569 rows, 30 features, 2 classes."""

    name: Literal["breast_cancer"] = "breast_cancer"
    split: Split = Split()
    """How the samples are split."""
    reduce: Reduce = Reduce()
    """Feature selection and principal components."""


class Wine(Section):
    """scikit-learn's wine set: 178 rows, 13 features, 3 classes."""

    name: Literal["wine"] = "wine"
    split: Split = Split()
    """How the samples are split."""
    reduce: Reduce = Reduce()
    """Feature selection and principal components."""


class Iris(Section):
    """scikit-learn's iris set: 150 rows, 4 features, 3 classes."""

    name: Literal["iris"] = "iris"
    split: Split = Split()
    """How the samples are split."""
    reduce: Reduce = Reduce()
    """Feature selection and principal components."""


class Diabetes(Section):
    """scikit-learn's diabetes set: 442 rows, 10 features, a number to predict."""

    name: Literal["diabetes"] = "diabetes"
    split: Split = Split()
    """How the samples are split."""
    reduce: Reduce = Reduce()
    """Feature selection and principal components."""


class Mnist(Section):
    """MNIST, or a set of its format such as Fashion-MNIST, from idx files in torchvision's layout."""

    name: Literal["mnist"] = "mnist"
    path: Path
    """The mounted directory: the files themselves, or torchvision's root with `MNIST/raw`; plain or gzipped."""
    split: TrainingSplit = TrainingSplit(validation=0.1)
    """How the training files are split; the test part is the test files."""


class Cifar10(Section):
    """CIFAR-10 from the Python pickles in torchvision's layout."""

    name: Literal["cifar10"] = "cifar10"
    path: Path
    """The mounted directory: the batches themselves, or torchvision's root with `cifar-10-batches-py`."""
    split: TrainingSplit = TrainingSplit(validation=0.1)
    """How the training batches are split; the test part is the test batch."""


class Table(Section):
    """A CSV or Parquet file with a header. Numbers are standardised, text and booleans one-hot encoded, missing values
    filled.

    A text not seen in training has no category. All statistics come from the training part. Rows without a target are
    left out. Files of their own for validation and test need the columns of `path`, in any order.
    """

    name: Literal["table"] = "table"
    path: Path
    """The mounted file."""
    validation_path: Path | None = None
    """A file with the validation part; null: a share of `path`."""
    test_path: Path | None = None
    """A file with the test part, read in role Final only; null: a share of `path`."""
    target: Annotated[str, Field(min_length=1)]
    """Name of the column to predict."""
    drop: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = ()
    """Names of columns that are not features, such as identifiers."""
    format: Literal["auto", "csv", "parquet"] = "auto"
    """Format of the file; `auto` goes by its ending: .csv, .csv.gz, .parquet, .pq."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """What to predict; `auto`: classes for text, booleans and whole numbers of at most 20 different values, else a
    number.
    """
    categories: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Most categories of one text column; the rarer ones share the category of unseen text."""
    missing: Literal["fill", "drop", "error"] = "fill"
    """What to do with a row that lacks a value, or has one that is not finite. fill: a number becomes the median, a
    text a category of its own; drop: leave the row out; error: use no such file.
    """
    split: Split = Split()
    """How the rows are split."""
    reduce: Reduce = Reduce()
    """Feature selection and principal components."""


Data = Annotated[
    Digits
    | BreastCancer
    | Wine
    | Iris
    | Diabetes
    | Mnist
    | Cifar10
    | Table
    | Text
    | Language
    | Speech
    | ImageFolder
    | Graph
    | Ratings
    | CustomData,
    Field(discriminator="name"),
]
