"""A file format that can be written and read piece by piece, and of which no piece can be changed unseen.

The STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizar, 2015) over AES-256-GCM: each piece of 1 MiB is
encrypted under a nonce that holds its number and whether it is the last, so that pieces can be neither changed,
swapped, left out nor cut off. Each file has a key of its own, derived from the key file and a random salt.

    "TUNING-ENC-1\\n"  salt (16)  check of the key (8)  pieces: ciphertext and tag (16)
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, Final

from tuning_trainer.config.errors import SettingError
from tuning_trainer.encryption.key import CHECK, Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from typing_extensions import Buffer

MAGIC: Final = b"TUNING-ENC-1\n"
SALT: Final = 16
TAG: Final = 16
PIECE: Final = 2**20
HEADER: Final = len(MAGIC) + SALT + CHECK
ENDING: Final = ".enc"


class Damaged(ValueError):  # noqa: N818 - a state of the file
    """The file was changed, cut off, or is none of this format."""


class Writer(io.RawIOBase):
    """Encrypts what is written to it. `close` writes the last piece, without which a file cannot be read."""

    def __init__(self, file: BinaryIO, key: Key) -> None:
        self._file = file
        salt = os.urandom(SALT)
        self._cipher = _cipher(key.for_file(salt))
        self._header = MAGIC + salt + key.check(salt)
        self._held = bytearray()
        self._count = 0
        file.write(self._header)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Buffer) -> int:
        """Takes all of `data`."""
        view = memoryview(data).cast("B")
        self._held += view
        while len(self._held) > PIECE:  # the last piece is never empty unless the file is
            self._put(bytes(self._held[:PIECE]), last=False)
            del self._held[:PIECE]
        return len(view)

    def close(self) -> None:
        """Writes the last piece; the file under it stays open."""
        if not self.closed:
            self._put(bytes(self._held), last=True)
            self._held.clear()
        super().close()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._count, last=last), piece, self._header))
        self._count += 1


class Reader(io.RawIOBase):
    """The decrypted content; can be read from anywhere. Nothing that was changed is ever given out.

    Raises `SettingError` for a wrong key, `Damaged` for a file that was changed.
    """

    def __init__(self, file: BinaryIO, key: Key) -> None:
        self._file = file
        self._size = _length(file)
        header = _at(file, 0, HEADER)
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise Damaged("it is no encrypted file of this trainer")
        salt, check = header[len(MAGIC) : -CHECK], header[-CHECK:]
        if not key.fits(salt, check):
            raise SettingError(
                "the key does not fit, the file was encrypted with another one; set encryption.key_file (or "
                "--key-file) to that one"
            )
        self._cipher = _cipher(key.for_file(salt))
        self._header = header
        body = self._size - HEADER
        self._pieces = max(1, -(-body // (PIECE + TAG)))
        if body < TAG:
            raise Damaged("it is cut off")
        self._length = body - self._pieces * TAG
        self._position = 0
        self._held: tuple[int, bytes] = (-1, b"")
        self._piece(self._pieces - 1)  # a file that is cut off is known at once

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in the content."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Fills at most to the end of a piece. Raises `Damaged`."""
        view = memoryview(buffer).cast("B")
        number, offset = divmod(self._position, PIECE)
        if not view or self._position >= self._length:
            return 0
        piece = self._piece(number)[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _piece(self, number: int) -> bytes:
        if self._held[0] != number:
            from cryptography.exceptions import InvalidTag

            sealed = _at(self._file, HEADER + number * (PIECE + TAG), PIECE + TAG)
            nonce = _nonce(number, last=number == self._pieces - 1)
            try:
                self._held = (number, self._cipher.decrypt(nonce, sealed, self._header))
            except (InvalidTag, ValueError):
                raise Damaged(f"it was changed or cut off (piece {number + 1} of {self._pieces})") from None
        return self._held[1]


def reader(file: BinaryIO, key: Key) -> BinaryIO:
    """The decrypted content of `file` as a file."""
    return io.BufferedReader(Reader(file, key), buffer_size=2**16)


def is_encrypted(file: BinaryIO) -> bool:
    """Whether a file is of this format, by its first bytes."""
    return _at(file, 0, len(MAGIC)) == MAGIC


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _nonce(number: int, *, last: bool) -> bytes:
    return bytes(7) + number.to_bytes(4, "big") + bytes([last])


def _at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def _length(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
