"""Files that appear whole or not at all, encrypted where there is a key, and their reading.

A file is written beside its name, flushed to the disk and renamed, so that no crash leaves half of one and a full disk
leaves the older one. No other module of the trainer writes what has to last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tuning_trainer.config.encryption import Encryption
from tuning_trainer.config.errors import SettingError
from tuning_trainer.encryption.key import Key, read_key
from tuning_trainer.encryption.stream import ENDING, Writer, is_encrypted, reader

Fill = Callable[[BinaryIO], object]
"""Writes the content of a file."""


def key_of(encryption: Encryption) -> Key | None:
    """The key of the settings; None where nothing is encrypted. Raises `SettingError` for a file that holds none."""
    return None if encryption.key_file is None else read_key(encryption.key_file)


def write(path: Path, fill: Fill, *, key: Key | None = None) -> Path:
    """The file that was written: `path`, or with a key `path` and `.enc`. Raises OSError; nothing is left then."""
    target = path if key is None else path.with_name(path.name + ENDING)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if key is None:
                fill(file)
            else:
                with contextlib.closing(Writer(file, key)) as sealed:
                    fill(cast(BinaryIO, sealed))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except RuntimeError as error:  # torch reports a full disk as one
        raise OSError(f"{target} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    flush(target.parent)
    return target


def flush(path: Path) -> None:
    """Has the disk keep what a file holds, or which files a directory has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, key: Key | None = None) -> Path:
    """As `write`, with `text` for its content."""
    return write(path, lambda file: file.write(text.encode()), key=key)


@contextmanager
def opened(path: Path, key: Key | None) -> Iterator[BinaryIO]:
    """The content of a file, decrypted if need be. Raises OSError, `SettingError` without the right key, and
    `encryption.stream.Damaged`.
    """
    with path.open("rb") as file:
        if not is_encrypted(file):
            file.seek(0)
            yield file
        elif key is None:
            raise SettingError(f"{path} is encrypted; set encryption.key_file to the file that holds its key")
        else:
            try:
                content = reader(file, key)
            except SettingError as error:
                raise SettingError(f"{path}: {error}") from None
            with content:
                yield content
