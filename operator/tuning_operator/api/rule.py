"""What a rule between fields is: the same condition as CEL, for the API server, and as Python, for `tuning check`.

A rule sits at a place of the document (`spec.parameters[]`) and is held against each value there. Its message has a gap
`{}` for each `Shown`, filled by CEL on the server and by Python offline, with the same text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tuning_operator.api.problem import Problem

Value = Any
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in a message."""

    cel: str
    python: Callable[[Value], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that every value at a place must meet."""

    at: str
    cel: str
    holds: Callable[[Value], bool]
    message: str
    shown: tuple[Shown, ...] = ()
    field: str = ""
    """Path below `at` that the error names, for example `float.min`."""
    reason: str = "FieldValueInvalid"


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition on a change: it sees the value before and after."""

    at: str
    cel: str
    holds: Callable[[Value, Value], bool]
    message: str
    field: str = ""
    reason: str = "FieldValueForbidden"


def validation(rule: Rule | Transition) -> Schema:
    """The rule as an item of `x-kubernetes-validations`."""
    out: Schema = {"rule": rule.cel}
    gaps = rule.shown if isinstance(rule, Rule) else ()
    if gaps:
        out["messageExpression"] = _message_expression(rule.message, gaps)
    else:
        out["message"] = rule.message
    if rule.field:
        out["fieldPath"] = f".{rule.field}"
    out["reason"] = rule.reason
    return out


def attach(schema: Schema, rules: Sequence[Rule | Transition]) -> None:
    """Write the rules into the schema of a whole object, each where it belongs."""
    for rule in rules:
        node = schema
        for step in _steps(rule.at):
            node = node["items"] if step == "[]" else node["properties"][step]
        node.setdefault("x-kubernetes-validations", []).append(validation(rule))


def broken(rules: Sequence[Rule], document: Value) -> list[Problem]:
    """The rules that a document breaks. Values too malformed to be judged are passed over: the schema refuses those."""
    problems = []
    for rule in rules:
        for path, value in _places(document, rule.at):
            try:
                if rule.holds(value):
                    continue
                message = _filled(rule.message, [gap.python(value) for gap in rule.shown])
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError, IndexError):
                continue
            problems.append(Problem(f"{path}.{rule.field}" if rule.field else path, "", message))
    return problems


def broken_by_change(rules: Sequence[Transition], old: Value, new: Value) -> list[Problem]:
    """The rules that a change of a document breaks; transitions sit on places that exist once."""
    problems = []
    for rule in rules:
        pairs = zip(_places(old, rule.at), _places(new, rule.at), strict=False)
        for (_, before), (path, after) in pairs:
            if not rule.holds(before, after):
                problems.append(Problem(".".join(part for part in (path, rule.field) if part), "", rule.message))
    return problems


def word(field: str) -> Shown:
    """A string field of the value."""
    return Shown(f"self.{field}", lambda value: str(_at(value, field)))


def number(field: str) -> Shown:
    """A number field of the value, written as the API server writes it."""
    return Shown(f"string(self.{field})", lambda value: number_text(_at(value, field)))


def integer(field: str) -> Shown:
    """An integer field of the value."""
    return Shown(f"string(self.{field})", lambda value: str(int(_at(value, field))))


def number_text(value: float) -> str:
    """A finite number as Go's `%g`, which CEL's `string()` is. Raises ValueError for another one."""
    value = float(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not finite")
    power = len(digits) + exponent - 1
    text = "".join(map(str, digits))
    if value == 0:
        text = "0"
    elif power < -4 or power >= 6:
        text = f"{text[0]}{'.' + text[1:] if text[1:] else ''}e{power:+03d}"
    elif exponent >= 0:
        text += "0" * exponent
    elif power >= 0:
        text = f"{text[: power + 1]}.{text[power + 1 :]}"
    else:
        text = "0." + "0" * (-power - 1) + text
    return ("-" if sign else "") + text


def _filled(message: str, values: Sequence[str]) -> str:
    texts = message.split("{}")
    return "".join(part for pair in zip(texts, [*values, ""], strict=True) for part in pair)


def _message_expression(message: str, gaps: Sequence[Shown]) -> str:
    if message.count("{}") != len(gaps) or "%" in message:
        raise ValueError(f"{len(gaps)} values, or a %, do not fit: {message}")
    # `format` and not `+`, whose cost the API server cannot bound.
    return f"{_quoted(message.replace('{}', '%s'))}.format([{', '.join(gap.cel for gap in gaps)}])"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _steps(at: str) -> Iterator[str]:
    for part in filter(None, at.split(".")):
        name = part.removesuffix("[]")
        yield name
        if name != part:
            yield "[]"


def _places(document: Value, at: str) -> Iterator[tuple[str, Value]]:
    found: list[tuple[str, Value]] = [("", document)]
    for step in _steps(at):
        deeper: list[tuple[str, Value]] = []
        for path, value in found:
            if step == "[]" and isinstance(value, list):
                deeper += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
            elif step != "[]" and isinstance(value, dict) and step in value:
                deeper.append((f"{path}.{step}".lstrip("."), value[step]))
        found = deeper
    yield from found


def _at(value: Value, field: str) -> Value:
    for step in field.split("."):
        value = value[step]
    return value
