"""The exit codes of a trial and the reasons they stand for.

One table for the trial, the operator and the local runner, so that the three can never disagree. It holds no behaviour.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
INVALID_SETTING: Final = 42
OUT_OF_MEMORY: Final = 43
DIVERGED: Final = 44
TRY_AGAIN: Final = 75
STOPPED: Final = 143

REASONS: Final[dict[int, str]] = {
    INVALID_SETTING: "InvalidSetting",
    OUT_OF_MEMORY: "OutOfMemory",
    DIVERGED: "Diverged",
    TRY_AGAIN: "TryAgain",
    STOPPED: "Stopped",
}
"""Exit code -> reason, for the codes that have a meaning of their own."""


def code_for(reason: str) -> int:
    """The exit code that stands for `reason`; 1 for a reason without a code of its own."""
    return next((code for code, known in REASONS.items() if known == reason), 1)
