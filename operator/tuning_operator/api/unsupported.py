"""What the resources already have a place for and nothing does yet. It is refused, never ignored.

Whoever builds a feature deletes its line here.
"""

from typing import Any

from tuning_operator.api.rule import Rule, word

Value = dict[str, Any]


def _only(at: str, field: str, *supported: str) -> Rule:
    """Of the words of an enumeration, only these do something."""
    listed = ", ".join(f"'{each}'" for each in supported)
    return Rule(
        at,
        f"self.{field} in [{listed}]",
        lambda self: self[field] in supported,
        f"{at.rpartition('.')[2] if field == 'name' else field} {{}} is not supported yet; write {_or(supported)}",
        (word(field),),
        field=field,
    )


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


NOT_YET: tuple[Rule, ...] = (_only("spec.metrics", "source", "Auto", "Direct", "Query", "Logs"),)
