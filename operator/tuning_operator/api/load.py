"""Study files as kubectl reads them: the same text gives the same values here and on a cluster.

kubectl reads YAML 1.1 by go-yaml: `1e-4` is a number, `on`, `yes` and even `n` are booleans, `017` is octal, and all of
it becomes JSON, which has no NaN and no infinity. PyYAML differs in each of these, so its resolver is replaced. Unlike
kubectl, which keeps the last, we refuse a name that is written twice.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
NULL = frozenset(("", "~", "null", "Null", "NULL"))
NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
INTEGER = re.compile(r"([-+]?)(0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))\Z")

MOST_NODES = 200_000
"""Of a file, aliases counted as often as they are used: an end to YAML that unfolds without bound."""

PLAIN = "plain"
TAG = "tag:yaml.org,2002:"


class BadFileError(ValueError):
    """The text is no YAML or JSON that a cluster would take. The message begins with file and line."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    source: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    """Line of each path (`spec.parameters[0].float.min`), from 1; empty for JSON."""

    def line(self, path: str) -> int | None:
        """The line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


def load_file(path: Path) -> list[Document]:
    """The documents of a file. Raises `BadFileError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFileError(f"{path}: is not UTF-8 text") from error
    return load_text(text, source=str(path))


def load_text(text: str, *, source: str = "<text>") -> list[Document]:
    """The documents of a text: JSON if it begins with a brace and is JSON, else YAML. Raises `BadFileError`."""
    if text.lstrip()[:1] == "{":
        try:
            return [Document(source, _json(text, source))]
        except RecursionError as error:
            raise BadFileError(f"{source}: is nested too deeply; write it flatter") from error
        except json.JSONDecodeError:
            pass  # a YAML flow mapping may begin so, too
    return list(_yaml(text, source))


def _json(text: str, source: str) -> Any:
    def constant(word: str) -> Any:
        raise BadFileError(f"{source}: {word} is no JSON number; write a finite one")

    def number(word: str) -> Any:
        return constant(word) if math.isinf(float(word)) else _number(word)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in items:
            if name in found:
                raise BadFileError(f"{source}: {name!r} is written twice in one object; keep one")
            found[name] = value
        return found

    return json.loads(text, parse_constant=constant, parse_float=number, object_pairs_hook=pairs)


def _yaml(text: str, source: str) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            reader = _Reader(source)
            node = loader.get_node()
            value = None if node is None else reader.read(node, "")
            if value is not None:
                yield Document(source, value, reader.lines)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadFileError(f"{source}{line}: is no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadFileError(f"{source}: is no YAML: {error}") from error
    except RecursionError as error:
        raise BadFileError(f"{source}: is nested too deeply; write it flatter") from error
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars unresolved, to be read as Go reads them."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:  # quoted and block scalars are text
        if kind is ScalarNode:
            return PLAIN if implicit[0] else f"{TAG}str"
        return f"{TAG}seq" if kind is SequenceNode else f"{TAG}map"


class _Reader:
    """From the nodes of one document to JSON values."""

    def __init__(self, source: str) -> None:
        self.lines: dict[str, int] = {}
        self._source = source
        self._left = MOST_NODES
        self._open: list[Node] = []

    def read(self, node: Node, path: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._bad(node, f"has more than {MOST_NODES} values; split it, or use fewer aliases")
        if any(each is node for each in self._open):
            raise self._bad(node, "an alias refers to what it stands in; write the value instead")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.read(each, f"{path}[{index}]") for index, each in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.tag == PLAIN and key_node.value == "<<":
                for each in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    if not isinstance(each, MappingNode):
                        raise self._bad(each, "<< takes an alias of name: value pairs")
                    merged = self.read(each, path) | merged
                continue
            name = self._name(key_node)
            if name in found:
                raise self._bad(key_node, f"{name!r} is written twice; keep one")
            where = f"{path}.{name}" if path else name
            self.lines[where] = key_node.start_mark.line + 1
            found[name] = self.read(value_node, where)
        return merged | found

    def _name(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self._bad(node, "a name must be text")
        value = self._scalar(node, "")
        if value is None:
            raise self._bad(node, "a name must be text; put it into quotes")
        return value if isinstance(value, str) else json.dumps(value)

    def _scalar(self, node: ScalarNode, path: str) -> Any:
        text: str = node.value
        if node.tag == f"{TAG}str":
            return text
        if node.tag not in (PLAIN, *(f"{TAG}{kind}" for kind in ("int", "float", "bool", "null"))):
            raise self._bad(node, f"the tag {node.tag} has no JSON form; remove it")
        if NOT_FINITE.match(text):
            raise self._bad(node, f"{path}: {text}: is no JSON number; write a finite number")
        value = plain(text)
        if node.tag == f"{TAG}float" and isinstance(value, int):
            return float(value)
        return value

    def _bad(self, node: Node, what: str) -> BadFileError:
        return BadFileError(f"{self._source}:{node.start_mark.line + 1}: {what}")


def plain(text: str) -> str | int | float | bool | None:
    """A plain scalar, as go-yaml resolves it and JSON carries it on."""
    if text in TRUE or text in FALSE:
        return text in TRUE
    if text in NULL:
        return None
    if text[0] not in "+-.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    if found := INTEGER.match(digits):
        sign, _, hexadecimal, binary, octal, decimal = found.groups()
        value = next(int(part, base) for part, base in _bases(hexadecimal, binary, octal, decimal) if part is not None)
        value = -value if sign == "-" else value
        return value if -(2**63) <= value < 2**63 else float(value)
    return text if not FLOAT.match(digits) or math.isinf(float(digits)) else _number(digits)


def _bases(*parts: str | None) -> Iterator[tuple[str, int]]:
    for part, base in zip(parts, (16, 2, 8, 10), strict=True):
        if part is not None:
            yield part, base


def _number(text: str) -> int | float:
    """A number as Go writes it into JSON: without a fraction it is an integer, as far as Go's reach."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**63 else value
