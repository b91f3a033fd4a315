"""Text to be learned as a language: segments of it, as windows of tokens. The vocabulary is learned from the training
segment only, and the test segment is turned into tokens only when it is asked for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.text import Language as Settings
from tuning_trainer.data import vocabulary
from tuning_trainer.data.layout import Layout
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.data.split import check_shares
from tuning_trainer.optim.loss import IGNORED
from tuning_trainer.tasks.language import Language

LINE: Final = 1000
"""Characters within which a segment that ends inside of a line is drawn out to its end."""
_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Texts:
    """The three parts, not yet tokens."""

    train: str
    validation: str
    test: Callable[[], str]


def prepare(data: Settings, *, final: bool, device: torch.device) -> Prepared:
    """The data of one trial. Raises `SettingError` for text that is missing, damaged or too short."""
    texts = _segments(data)
    if not final and not texts.validation:
        raise SettingError(
            "data.split.validation leaves no text for validation, by which a trial is judged; use a larger share"
        )
    known = texts.train + texts.validation if final else texts.train
    words = vocabulary.learn(data.vocabulary, [known])
    train = _place(_windows(words.stream(known), data.window), device)
    if not len(train):
        raise SettingError(
            f"the training part of data.path has fewer tokens than data.window, {data.window}; use a smaller one"
        )

    def test() -> Part:
        text = texts.test()
        if not text:
            raise SettingError("data.split.test leaves no text for the final evaluation; use a larger share")
        return _place(_windows(words.stream(text), data.window, whole=True), device)

    if final and not data.test_path and not texts.test():
        test()
    validation = None if final else _place(_windows(words.stream(texts.validation), data.window, whole=True), device)
    task = Language(torch.from_numpy(words.lengths[1:]))
    return Prepared(
        train=train,
        validation=validation,
        test=test,
        task=task,
        layout=Layout((data.window,), vocabulary=words.size, causal=True),
        normalize=None,
        description={
            "encoding": {"kind": "language", "window": data.window, "vocabulary": words.description},
            **task.description,
            "samples": {"train": len(train), "validation": 0 if validation is None else len(validation)},
        },
    )


def _segments(data: Settings) -> Texts:
    check_shares(data.split, validation_path=data.validation_path, test_path=data.test_path)
    text = _read(data.path, data, field="data.path")
    shares = data.split.validation * (not data.validation_path), data.split.test * (not data.test_path)
    if sum(shares) >= 1:
        raise SettingError(
            f"data.split.validation {shares[0]} and data.split.test {shares[1]} leave nothing to train with; use "
            "smaller shares"
        )
    first = _cut(text, round(len(text) * (1 - sum(shares))))
    second = _cut(text, round(len(text) * (1 - shares[1])))
    validation = text[first:second]
    if data.validation_path:
        validation = _read(data.validation_path, data, field="data.validation_path")
    path, rest = data.test_path, text[second:]
    return Texts(
        train=text[:first],
        validation=validation,
        test=lambda: _read(path, data, field="data.test_path") if path else rest,
    )


def _cut(text: str, place: int) -> int:
    """`place`, or the beginning of the next line when it is near."""
    line = text.find("\n", max(0, place - 1), place + LINE)
    return place if line < 0 else line + 1


def _windows(tokens: vocabulary.Tokens, window: int, *, whole: bool = False) -> tuple[Tensor, Tensor]:
    """Inputs [N, window], tokens from 1, and targets, the tokens that follow them, from 0.

    A text begins with padding, from which its first token is predicted. What fills no window is left out, or with
    `whole` fills a last one up with what does not count.
    """
    count = -(-len(tokens) // window) if whole else len(tokens) // window
    given = min(len(tokens), count * window)
    inputs = torch.zeros(count * window, dtype=torch.int64)
    inputs[1:given] = torch.from_numpy(tokens[: max(0, given - 1)])
    targets = torch.full((count * window,), IGNORED)
    targets[:given] = torch.from_numpy(tokens[:given] - 1)
    return inputs.view(count, window), targets.view(count, window)


def _place(windows: tuple[Tensor, Tensor], device: torch.device) -> Part:
    inputs, targets = windows
    return Part(inputs.to(device), targets.to(device))


def _read(place: str, data: Settings, *, field: str) -> str:
    path = Path(place)
    if not path.exists():
        raise SettingError(f"{field} is {place!r}, where there is nothing; mount the text there")
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.glob(data.pattern) if file.is_file())
        if not files:
            raise SettingError(f"{field}: {path} has no file {data.pattern!r}; set data.pattern")
    texts: list[str] = []
    total, invalid, first = 0, 0, ""
    for file in files:
        try:
            body = file.read_bytes()
        except OSError as error:
            raise SettingError(f"{field}: {file} cannot be read: {error.strerror}") from None
        text, wrong = _decoded(body)
        total, invalid, first = total + len(body), invalid + wrong, first or (file.name if wrong else "")
        texts.append(text if text.endswith("\n") or len(files) == 1 else text + "\n")
    if invalid:
        told = f"{invalid} of {total} bytes are no valid UTF-8, the first of them in {first}"
        if invalid > data.invalid * total:
            raise SettingError(
                f"{field}: {told}, and data.invalid allows a share of {data.invalid}; convert the text, or raise it"
            )
        print(f"tuning_trainer: {field}: {told}; they are replaced", file=sys.stderr)
    return "".join(texts)


def _decoded(body: bytes) -> tuple[str, int]:
    """The text, and how many bytes of it had to be replaced."""
    try:
        return body.decode(), 0
    except UnicodeDecodeError:
        return _ESCAPED.subn("\ufffd", body.decode(errors="surrogateescape"))
