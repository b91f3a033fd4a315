"""The ends of a training that are no bugs, and how each is told: reason, message, exit code."""

from __future__ import annotations

import torch

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "cublas_status_alloc_failed")


class DivergedError(Exception):
    """The loss or a validation metric is not finite."""


class ExportError(Exception):
    """The trained model could not be written; its checkpoint is whole."""


class StoppedError(Exception):
    """SIGTERM came and the state was saved."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch or Python says that the device or the machine has no more memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in _WORDS)


class CutShortError(Exception):
    """The trial is to stop, and an evaluation was under way; nothing came of that."""
