"""Which of the processes of its trial this one is, by torchrun's environment variables. Pure; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuning_trainer.config.errors import SettingError


@dataclass(frozen=True, slots=True)
class Place:
    """One of `size` processes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among the processes of this machine; its GPU."""
    local_size: int = 1

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Place | None:
        """From RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE; None where they are not set. Raises `SettingError`
        for values that cannot be.
        """
        size = _number(environ, "WORLD_SIZE")
        rank = _number(environ, "RANK")
        if size is None and rank is None:
            return None
        if size is None or rank is None or size < 1 or rank >= size:
            raise SettingError(
                f"RANK is {environ.get('RANK')!r} and WORLD_SIZE is {environ.get('WORLD_SIZE')!r}; set both, RANK from "
                "0 to WORLD_SIZE - 1, as torchrun does, or neither"
            )
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if environ.get(name, "") in ("", "0")]
        if size > 1 and missing:
            raise SettingError(
                f"WORLD_SIZE is {size} but {missing[0]} is not set; it is where the process of RANK 0 is reached"
            )
        return cls(rank, size, _number(environ, "LOCAL_RANK") or 0, _number(environ, "LOCAL_WORLD_SIZE") or 1)


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SettingError(f"{name} is {text[:40]!r}; it must be a whole number")
    return int(text)
