"""Texts with labels as a source: vocabulary and length are learned from the training rows only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.split import TrainingSplit
from tuning_trainer.config.text import Text
from tuning_trainer.data import text_files, vocabulary
from tuning_trainer.data.source import Encoding, Rows
from tuning_trainer.data.split import Parts, check_shares, split_beside_files

Targets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoding(Encoding):
    """An encoding that can also be asked for texts which are not in the source."""

    encode_texts: Callable[[Sequence[str]], npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class TextSource:
    """Texts not yet split; the last `held_out` of them are the validation part by a file of their own."""

    texts: Sequence[str]
    targets: Targets
    classes: tuple[str, ...]
    data: Text
    held_out: int = 0

    def learn(self, rows: Rows) -> Encoding:
        """Learns the vocabulary; samples are as long as the longest text of `rows`, within `data.length`."""
        known = [self.texts[row] for row in rows]
        words = vocabulary.learn(self.data.vocabulary, known)
        length = max(1, *(len(tokens) for tokens in words.encode(known, self.data.length)))

        def encode(texts: Sequence[str]) -> npt.NDArray[Any]:
            return vocabulary.padded(words.encode(texts, length), length)

        return TextEncoding(
            encode=lambda wanted: encode([self.texts[row] for row in wanted]),
            normalization=None,
            description={"kind": "text", "length": length, "vocabulary": words.description},
            vocabulary=words.size,
            encode_texts=encode,
        )

    def parts(self, wanted: TrainingSplit) -> Parts:
        """Splits the texts of `data.path` for the parts that have no file of their own."""
        return split_beside_files(
            self.targets, wanted, classes=True, held_out=self.held_out, test_file=self.data.test_path is not None
        )


SeparateTest = Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def load(data: Text) -> tuple[TextSource, SeparateTest | None]:
    """The texts, and how to get the encoded test texts where they have a file of their own. Raises `SettingError` for
    what cannot be used.
    """
    check_shares(data.split, validation_path=data.validation_path, test_path=data.test_path)
    found = text_files.read(Path(data.path), data)
    classes = tuple(sorted(set(found.labels), key=_order))
    if len(classes) < 2:
        raise SettingError(f"data.path: all texts have the label {classes[0]!r}; classes need at least 2")
    texts, targets = found.texts, _targets(found.labels, classes, field="data.path")
    held_out = 0
    if data.validation_path:
        more = text_files.read(Path(data.validation_path), data, field="data.validation_path")
        held_out = len(more.texts)
        texts = texts + more.texts
        targets = np.concatenate([targets, _targets(more.labels, classes, field="data.validation_path")])

    def test(encoding: Encoding) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        assert isinstance(encoding, TextEncoding) and data.test_path
        found = text_files.read(Path(data.test_path), data, field="data.test_path")
        return encoding.encode_texts(found.texts), _targets(found.labels, classes, field="data.test_path")

    return TextSource(texts, targets, classes, data, held_out), test if data.test_path else None


def _targets(labels: Sequence[str], classes: Sequence[str], *, field: str) -> Targets:
    index = {name: place for place, name in enumerate(classes)}
    unknown = next((name for name in labels if name not in index), None)
    if unknown is not None:
        raise SettingError(
            f"{field} has the label {unknown!r}, which data.path does not have; {nearest(unknown, index)}"
        )
    return np.array([index[name] for name in labels], dtype=np.int64)


def _order(label: str) -> tuple[bool, int, str]:
    """Whole numbers by value, then all others."""
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)
