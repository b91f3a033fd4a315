"""What is wrong with a study, in the words a person needs: where, which value, what to write instead."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `remedy` is a sentence without its full stop; `value` is short and may be empty."""

    path: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.value, self.remedy) if part)


def shown(value: object, limit: int = 80) -> str:
    """A value as JSON, cut to a readable length."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean x?` or nothing."""
    by_folded = {each.replace("_", "").lower(): each for each in known}
    found = difflib.get_close_matches(word.replace("_", "").lower(), by_folded, n=1, cutoff=0.6)
    return f", did you mean {by_folded[found[0]]!r}?" if found else ""
