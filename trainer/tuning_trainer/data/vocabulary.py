"""How text becomes tokens: by bytes, by byte pairs learned here, or by a ready tokenizer. Token 0 is padding for all.

Library `tokenizers` is imported only where it is used. A vocabulary learns from the texts it is given and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tuning_trainer.config import text as settings
from tuning_trainer.config.errors import SettingError

Tokens = npt.NDArray[np.int64]

CHUNK: Final = 2**16
"""Characters of a long text that are tokenised at once; it is cut behind a line."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens from 1; 0 is padding and stands for no text."""

    size: int
    """Different tokens, with the padding."""
    lengths: npt.NDArray[np.float64]
    """[size]: the bytes of text that each token stands for; the same mean for all where a tokenizer does not tell."""
    encode: Callable[[Sequence[str], int], list[Tokens]]
    """Texts, each for itself, of at most so many tokens; with the marks of a tokenizer, such as a token of the end."""
    stream: Callable[[str], Tokens]
    """A running text, without marks."""
    description: dict[str, Any]
    """As JSON values, to be kept with the exported weights."""


def learn(vocabulary: settings.Vocabulary, texts: Sequence[str]) -> Vocabulary:
    """The vocabulary that the settings ask for, from training `texts`. Raises `SettingError` for a tokenizer that
    cannot be read.
    """
    match vocabulary:
        case settings.BpeVocabulary():
            return _of_tokenizer(_learned(texts, vocabulary.size), texts, name="bpe", size=vocabulary.size)
        case settings.TokenizerVocabulary():
            return _of_tokenizer(_ready(Path(vocabulary.file)), texts, name="tokenizer")
        case _:
            return _bytes()


def padded(rows: Sequence[Tokens], length: int) -> Tokens:
    """[N, length], filled up with 0; what is longer is cut off."""
    matrix = np.zeros((len(rows), length), dtype=np.int64)
    for place, row in zip(matrix, rows, strict=True):
        place[: len(row)] = row[:length]
    return matrix


def _bytes() -> Vocabulary:
    def stream(text: str) -> Tokens:
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + 1

    return Vocabulary(
        size=257,
        lengths=np.concatenate([[0.0], np.ones(256)]),
        encode=lambda texts, length: [stream(text)[:length] for text in texts],
        stream=stream,
        description={"name": "bytes"},
    )


def _learned(texts: Iterable[str], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator((chunk for text in texts for chunk in _chunks(text)), trainer)
    return tokenizer


def _ready(path: Path) -> Any:
    """The tokenizer of a file, or of a directory: its `tokenizer.json`, or else what `transformers` makes of it."""
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    if not path.exists():
        raise SettingError(f"data.vocabulary.file is {str(path)!r}, where there is nothing; mount the tokenizer there")
    try:
        if file.is_file():
            return Tokenizer.from_file(str(file))
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(path, local_files_only=True).backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exceptions
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"data.vocabulary.file: {path} holds no tokenizer that can be read: {told}") from None


def _of_tokenizer(tokenizer: Any, texts: Sequence[str], *, name: str, size: int | None = None) -> Vocabulary:
    tokenizer.no_padding()
    tokenizer.no_truncation()
    count = tokenizer.get_vocab_size(with_added_tokens=True)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    count = max(count, 1 + max(ids.values(), default=0))

    def encode(wanted: Sequence[str], length: int) -> list[Tokens]:
        tokenizer.enable_truncation(length)
        try:
            found = tokenizer.encode_batch_fast(list(wanted))
        except Exception as error:  # marks alone may need more than `length`
            told = " ".join(str(error).split())[:200]
            raise SettingError(f"data.length is {length}, which this tokenizer cannot keep to: {told}") from None
        finally:
            tokenizer.no_truncation()
        return [np.array(each.ids, dtype=np.int64) + 1 for each in found]

    def stream(text: str) -> Tokens:
        found = tokenizer.encode_batch_fast(list(_chunks(text)), add_special_tokens=False)
        return np.concatenate([np.zeros(0, np.int64), *(np.array(each.ids, np.int64) for each in found)]) + 1

    lengths = np.zeros(count + 1)
    if _by_bytes(tokenizer):
        for token, place in ids.items():
            lengths[place + 1] = len(token)
    else:
        sample = "".join(texts)[: 2**20]
        lengths[1:] = len(sample.encode()) / max(1, len(stream(sample)))
    for place, token in tokenizer.get_added_tokens_decoder().items():
        lengths[place + 1] = 0.0 if token.special else len(token.content.encode())
    return Vocabulary(
        size=count + 1,
        lengths=lengths,
        encode=encode,
        stream=stream,
        description={"name": name, "tokenizer": tokenizer.to_str()} | ({} if size is None else {"size": size}),
    )


def _by_bytes(tokenizer: Any) -> bool:
    """Whether each character of a token stands for one byte."""
    decoder = tokenizer.decoder
    return decoder is not None and type(decoder).__name__ == "ByteLevel"


def _chunks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + CHUNK
        if end < len(text):
            line = text.rfind("\n", start, end)
            end = line + 1 if line >= start else end
        yield text[start:end]
        start = end
