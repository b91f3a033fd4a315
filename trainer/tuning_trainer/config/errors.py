"""The one error of everything a person can write wrong: it names the setting, its value and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SettingError(ValueError):
    """A setting or a parameter that cannot be used; the trial ends with exit code 42 and this text."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: ` did you mean 'lr'?`, or what is known when nothing is near."""
    names = sorted(set(known))
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if found:
        return f"did you mean {found[0]!r}?"
    return "known are " + ", ".join(names[:24]) + (", ..." if len(names) > 24 else "")
