"""Which settings a trial shares with the one whose checkpoint it goes on from: weights fit one model and its data."""

from __future__ import annotations

from typing import Final

_SHARED: Final = ("model", "data", "compress")
_FREE: Final = ("model.dropout",)
"""Of these, what changes how is trained, and not what."""


def shared(path: str) -> bool:
    """Whether both must have the same value of the setting at this path."""
    return path.partition(".")[0] in _SHARED and path not in _FREE
