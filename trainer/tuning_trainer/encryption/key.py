"""The key of the files of a trial, read from a mounted file. Never shown, never written."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tuning_trainer.config.errors import SettingError

LENGTH: Final = 32
CHECK: Final = 8
"""Bytes by which a wrong key is told from a damaged file."""


@dataclass(frozen=True, slots=True)
class Key:
    """32 secret bytes."""

    secret: bytes = field(repr=False)

    def for_file(self, salt: bytes) -> bytes:
        """A key of its own for each file, so that no two files can share a nonce (HKDF of RFC 5869)."""
        return self._derive(salt, b"tuning_trainer file")

    def check(self, salt: bytes) -> bytes:
        """Says nothing of the key but whether it is the same."""
        return self._derive(salt, b"tuning_trainer check")[:CHECK]

    def fits(self, salt: bytes, check: bytes) -> bool:
        """Whether `check` was made with this key."""
        return hmac.compare_digest(self.check(salt), check)

    def _derive(self, salt: bytes, purpose: bytes) -> bytes:
        extracted = hmac.new(salt, self.secret, hashlib.sha256).digest()
        return hmac.new(extracted, purpose + b"\x01", hashlib.sha256).digest()


def read_key(path: str | Path, *, setting: str = "encryption.key_file") -> Key:
    """The key in a file: 32 bytes, 64 hexadecimal digits, or base64. Raises `SettingError`."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SettingError(
            f"{setting} is {str(path)!r}, which cannot be read ({error.strerror}); mount the Secret that holds the key"
        ) from None
    for secret in _readings(content):
        if len(secret) == LENGTH:
            return Key(secret)
    raise SettingError(
        f"{setting} {str(path)!r} holds {len(content)} bytes, which are no key; it must hold 32 random bytes as they "
        "are, in hexadecimal or in base64, such as of: openssl rand -base64 32"
    )


def _readings(content: bytes) -> list[bytes]:
    readings = [content]
    text = content.strip()
    for decode in (binascii.unhexlify, _base64):
        try:
            readings.append(decode(text))
        except (binascii.Error, ValueError):
            continue
    return readings


def _base64(text: bytes) -> bytes:
    return base64.b64decode(text, altchars=b"-_" if b"-" in text or b"_" in text else None, validate=True)
