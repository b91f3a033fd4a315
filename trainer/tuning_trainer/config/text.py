"""Settings of data that is text: with labels, or to be learned as a language. How text becomes tokens is in
`vocabulary`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path, Share, Split


class AutoVocabulary(Section):
    """The tokenizer of a pretrained model for that model, bytes for all others."""

    name: Literal["auto"] = "auto"


class BytesVocabulary(Section):
    """Each byte of the UTF-8 text is a token."""

    name: Literal["bytes"] = "bytes"


class BpeVocabulary(Section):
    """Byte-pair encoding over bytes (Sennrich et al., 2016), learned from the training part; no text is
    unknown to it.
    """

    name: Literal["bpe"] = "bpe"
    size: Annotated[int, Field(ge=257, le=1_000_000)] = 2000
    """Most different tokens: one for padding, 256 for the bytes, and those that were learned."""


class TokenizerVocabulary(Section):
    """A ready tokenizer."""

    name: Literal["tokenizer"] = "tokenizer"
    file: Path
    """The mounted `tokenizer.json`, or a directory of a pretrained model."""


Vocabulary = Annotated[
    AutoVocabulary | BytesVocabulary | BpeVocabulary | TokenizerVocabulary,
    Field(discriminator="name"),
]


class Text(Section):
    """Texts with labels, from a CSV or JSONL file, or from a folder for each label. Classes are those of the file
    `path`; texts that are empty or have no label are left out.
    """

    name: Literal["text"] = "text"
    path: Path
    """The mounted file, or the directory with a folder of text files for each label."""
    validation_path: Path | None = None
    """A file or directory of the same kind that is the validation part; null: a share of `path`."""
    test_path: Path | None = None
    """A file or directory of the same kind that is the test part; null: a share of `path`."""
    format: Literal["auto", "csv", "jsonl", "folders"] = "auto"
    """What `path` is; `auto`: folders for a directory, else by its ending: .csv, .jsonl, .ndjson, or these and .gz."""
    text: Annotated[str, Field(min_length=1)] = "text"
    """Column or key of the text."""
    label: Annotated[str, Field(min_length=1)] = "label"
    """Column or key of the label."""
    vocabulary: Vocabulary = AutoVocabulary()
    """How texts become tokens."""
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    """Most tokens of a text; the rest of a longer one is cut off."""
    invalid: Share = 0.01
    """Share of the texts that may be no valid UTF-8 and are left out; with more, the trial fails."""
    split: Split = Split()
    """How the texts of `path` are split."""


class Segments(Section):
    """How a text is split in contiguous segments: training, then validation, then test; each begins with a line."""

    validation: Share = 0.1
    """Share of the text, by characters, that is held out for validation."""
    test: Share = 0.1
    """Share of the text, by characters, at its end that is held out as the test part. It is read in role Final only,
    once.
    """


class Language(Section):
    """Text to be learned as a language: each token is predicted from the earlier ones in its window."""

    name: Literal["language"] = "language"
    path: Path
    """The mounted text file, or a directory whose `pattern` files are read one after the other by name."""
    validation_path: Path | None = None
    """A file or directory that is the validation part; null: a segment of `path`."""
    test_path: Path | None = None
    """A file or directory that is the test part; null: a segment of `path`."""
    pattern: Annotated[str, Field(min_length=1)] = "**/*.txt"
    """Which files of a directory are read."""
    vocabulary: Vocabulary = AutoVocabulary()
    """How text becomes tokens."""
    window: Annotated[int, Field(ge=2, le=1_000_000)] = 128
    """Tokens that are predicted in one sample. Windows do not overlap."""
    invalid: Share = 0.0
    """Share of the bytes that may be no valid UTF-8 and are replaced by U+FFFD; with more, the trial fails."""
    split: Segments = Segments()
    """How the text of `path` is split."""
