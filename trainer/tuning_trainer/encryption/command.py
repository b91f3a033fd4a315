"""`python -m tuning_trainer --decrypt`: a file that a trial encrypted, as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

from tuning_trainer.artifacts.store import opened, write
from tuning_trainer.config.errors import SettingError
from tuning_trainer.encryption.key import read_key
from tuning_trainer.encryption.stream import ENDING, Damaged, is_encrypted


def decrypt(path: Path, key_file: Path) -> Path:
    """Writes the content of `path` beside it, without the ending `.enc`; returns where.

    Raises `SettingError` for a key or a file that does not fit, `Damaged` for one that was changed, OSError.
    """
    if path.suffix != ENDING:
        raise SettingError(f"--decrypt {path}: its name must end in {ENDING}")
    key = read_key(key_file, setting="--key-file")
    with path.open("rb") as file:
        if not is_encrypted(file):
            raise SettingError(f"--decrypt {path}: it is no encrypted file of this trainer")
    try:
        with opened(path, key) as content:
            return write(path.with_suffix(""), lambda file: shutil.copyfileobj(content, file, 2**20))
    except Damaged as error:
        raise Damaged(f"{path} cannot be decrypted: {error}") from None
