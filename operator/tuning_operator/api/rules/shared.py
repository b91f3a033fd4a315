"""What the rules of several topics share: names in messages, and rules of one form."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tuning_operator.api.rule import Rule, Shown, word

Value = dict[str, Any]


def listed(names: Iterable[str]) -> str:
    """As CEL's `format` writes a list."""
    return json.dumps(list(names))


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def words_cel(words: Sequence[str]) -> str:
    """A list of strings in CEL."""
    return "[" + ", ".join(f"'{each}'" for each in words) + "]"


ALL_NAMES = Shown("self.parameters.map(p, p.name)", lambda self: listed(each["name"] for each in self["parameters"]))
"""The parameters of a spec."""


def settings_of(at: str, field: str, *owners: str, what: str) -> Rule:
    """Settings that belong to other names than the one chosen at this place would do nothing."""
    return Rule(
        at,
        f"!has(self.{field}) || self.name in {words_cel(owners)}",
        lambda self: field not in self or self["name"] in owners,
        f"{field} holds settings of {owners[0]}, but the {what} is {{}}; remove {field} or write name: {owners[0]}",
        (word("name"),),
        field=field,
    )
