"""CEL over parameters: `spec.forbidden` and `expression`. What may be written, and what it comes to.

An expression is checked before it is ever used: names, types, its result. Names are replaced by variables of their
type, so that `p["optimizer.lr"]` is as well known as `lr`. It cannot loop (macros are off), call out or see anything
but the parameters, and its length bounds its time; see docs/decisions/0004-cel.md.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.problem import nearest

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*)"
    r"|(?P<text>[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'))"
    r"|(?P<real>(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)"
    r"|(?P<whole>0[xX][0-9a-fA-F]+u?|\d+[uU]?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||[<>=!]=|.)",
    re.DOTALL,
)
_WORDS = frozenset({"true", "false", "null", "in"})
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_LONGEST = 1024
"""Characters of a parameter's value, as the API server has it."""
ALL = "p"
"""The map of all parameters, for names that are no identifiers."""
_MESSAGE = re.compile(r"<input>:-?\d+:-?\d+: (.*)")


class Kind(StrEnum):
    """What an expression, or a parameter in it, is."""

    BOOL = "BOOL"
    INT = "INT"
    DOUBLE = "DOUBLE"
    STRING = "STRING"
    ANY = "DYN"


class ExpressionError(ValueError):
    """The expression cannot be used; the message says why and what to write instead."""


class NotComputableError(ArithmeticError):
    """The expression has no value for these parameters (division by zero, overflow)."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """An expression that is known to be good."""

    text: str
    names: tuple[str, ...]
    """Parameters that it refers to."""
    kind: Kind
    _program: Any
    _variables: Mapping[str, tuple[str, Kind]]
    _asked: Mapping[str, str]
    """Variables that say whether a parameter is there, by parameter."""

    def value(self, parameters: Mapping[str, JSONScalar]) -> JSONScalar | None:
        """What it comes to; None where that hangs on a parameter that is not active. Raises `NotComputableError`."""
        data: dict[str, object] = {variable: name in parameters for name, variable in self._asked.items()}
        missing = False
        for name, (variable, kind) in self._variables.items():
            if name in parameters:
                data[variable] = _cast(parameters[name], kind)
            else:
                missing = True
        result = self._program.eval(data=data)
        value = result.value() if result.type().name() in _kinds() else None
        if isinstance(value, bool | int | float | str) and _fits(value):
            return value
        if missing:
            return None
        raise NotComputableError(f"{self.text}: {result}")

    def holds(self, parameters: Mapping[str, JSONScalar]) -> bool:
        """Whether it is true; what hangs on parameters that are not active, or cannot be computed, is not."""
        try:
            return self.value(parameters) is True
        except NotComputableError:
            return False


def kind_of(parameter: Parameter) -> Kind:
    """What a parameter that is searched is in an expression."""
    if parameter.float_ is not None:
        return Kind.DOUBLE
    if parameter.int_ is not None:
        return Kind.INT
    values = parameter.choice or parameter.ordinal or ()
    if all(isinstance(value, bool) for value in values):
        return Kind.BOOL
    if all(isinstance(value, str) for value in values):
        return Kind.STRING
    if any(isinstance(value, bool | str) for value in values):
        return Kind.ANY
    return Kind.INT if all(float(value).is_integer() for value in values) else Kind.DOUBLE


def compile_expression(text: str, kinds: Mapping[str, Kind]) -> Compiled:
    """The expression over parameters of these kinds. Raises `ExpressionError`.

    Where whole numbers and real ones are mixed, it is computed in real ones.
    """
    try:
        return _compile(text, kinds, real=False)
    except ExpressionError as error:
        if "int" not in str(error) or "double" not in str(error):
            raise
        try:
            return _compile(text, kinds, real=True)
        except ExpressionError:
            raise error from None


def references(text: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """Parameters that the expression refers to. Raises `ExpressionError`."""
    return tuple(dict.fromkeys(name for _, name, _ in _parts(text, known) if name))


def _compile(text: str, kinds: Mapping[str, Kind], *, real: bool) -> Compiled:
    variables: dict[str, tuple[str, Kind]] = {}
    asked: dict[str, str] = {}
    written = []
    for part, name, presence in _parts(text, kinds):
        if presence:
            written.append(asked.setdefault(name, f"a{len(asked)}"))
        elif name:
            kind = Kind.DOUBLE if real and kinds[name] is Kind.INT else kinds[name]
            written.append(variables.setdefault(name, (f"v{len(variables)}", kind))[0])
        else:
            written.append(f"{part}.0" if real and part.isdigit() else part)
    library = cel()
    types = {variable: getattr(library.Type, kind.value) for variable, kind in variables.values()}
    types |= dict.fromkeys(asked.values(), library.Type.BOOL)
    try:
        program = library.NewEnv(config=_settings(), variables=types).compile("".join(written))
    except RuntimeError as error:
        raise ExpressionError(why(str(error), {variable: name for name, (variable, _) in variables.items()})) from None
    found = program.return_type().name()
    if found not in _kinds():
        raise ExpressionError(f"comes to a {found.lower()}; write one that comes to a boolean, a number or a string")
    return Compiled(text, tuple(dict.fromkeys([*variables, *asked])), Kind(found), program, variables, asked)


def _parts(text: str, known: Mapping[str, object]) -> Iterator[tuple[str, str, bool]]:
    """The expression in parts: (as written, the parameter it stands for or nothing, whether only its presence)."""
    tokens = [(str(match.lastgroup), match.group()) for match in _TOKEN.finditer(text)]
    tokens = [token for token in tokens if token[0] != "space"]
    at = 0
    while at < len(tokens):
        kind, word = tokens[at]
        after = [token[1] for token in tokens[at + 1 : at + 4]] + [""] * 3
        member = at > 0 and tokens[at - 1][1] == "."
        if kind == "text" and after[:2] == ["in", ALL]:
            yield word, _known(word.strip("'\""), known), True
            at += 3
        elif kind == "name" and word == ALL and not member:
            if after[0] == "[" and after[2] == "]" and tokens[at + 2][0] == "text":
                yield word, _known(after[1].strip("'\""), known), False
                at += 4
            elif after[0] == "." and after[2] != "(":
                yield word, _known(after[1], known), False
                at += 3
            else:
                raise ExpressionError(f'{ALL} holds the parameters by name; write {ALL}["lr"], or "lr" in {ALL}')
        else:
            named = kind == "name" and not member and after[0] != "(" and word not in _WORDS | _TYPES
            yield (f" {word} " if kind == "name" else word), _known(word, known) if named else "", False
            at += 1


def _known(name: str, known: Mapping[str, object]) -> str:
    if name not in known:
        hint = nearest(name, known) or f"; write one of {', '.join(known)}"
        raise ExpressionError(f"there is no parameter {name!r}{hint}")
    return name


def why(error: str, names: Mapping[str, str]) -> str:
    """The first thing that CEL says, with the names as the user wrote them."""
    found = _MESSAGE.search(error)
    text = found.group(1) if found else error.partition(" [")[0]
    text = re.sub(r"'(v\d+)'", lambda match: repr(names.get(match.group(1), match.group(1))), text)
    text = text.replace(" (in container '')", "").partition(" expecting ")[0]
    if "int" in text and "double" in text:
        text += "; write real numbers: 2.0 instead of 2, double(x) instead of x"
    if "recursion" in text:
        return "is nested too deeply; write it with fewer terms, or as several expressions"
    return f"is no valid CEL: {text}"


def _fits(value: JSONScalar) -> bool:
    """Whether a trial could be given this value."""
    return len(value) <= _LONGEST if isinstance(value, str) else math.isfinite(value)


def _cast(value: JSONScalar, kind: Kind) -> JSONScalar:
    if isinstance(value, bool | str):
        return value
    return int(value) if kind is Kind.INT else float(value) if kind is Kind.DOUBLE else value


def cel() -> Any:
    """The library: 10 MB, and only studies with expressions need it."""
    from cel_expr_python import cel as library

    return library


@cache
def _settings() -> Any:
    return cel().NewEnvConfigFromYaml("stdlib: {exclude_macros: [has, all, exists, exists_one, map, filter]}")


@cache
def _kinds() -> frozenset[str]:
    return frozenset(Kind)
