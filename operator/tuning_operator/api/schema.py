"""Holds a document against a structural schema as the API server does: the same schema, the same verdict, offline.

Numbers are JSON's: `true` is not 1, `1` is a number and an integer, NaN does not exist. What the server would complete
by defaults comes back completed.
"""

import copy
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tuning_operator.api.problem import Problem, nearest, shown
from tuning_operator.api.structural import PRESERVE, Schema

WORDS = {
    "object": "an object (name: value pairs)",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def complete(schema: Schema, document: Any) -> Any:
    """A copy of the document with the schema's defaults."""
    return _completed(schema, copy.deepcopy(document))


def problems(schema: Schema, document: Any, path: str = "") -> list[Problem]:
    """What is wrong with a completed document."""
    return list(_check(schema, document, path))


def _completed(schema: Schema, value: Any) -> Any:
    """A null is as good as absent where it is not a value of its own; only in a list it stays."""
    if isinstance(value, dict):
        fields: dict[str, Schema] = schema.get("properties", {})
        rest = schema.get("additionalProperties") or {}
        for name in [*value]:
            child = fields.get(name, rest)
            if value[name] is None and child and not child.get("nullable"):
                del value[name]
        for name, child in fields.items():
            if "default" in child:
                value.setdefault(name, copy.deepcopy(child["default"]))
        return {name: _completed(fields.get(name, rest), child) for name, child in value.items()}
    if isinstance(value, list):
        return [_completed(schema.get("items", {}), item) for item in value]
    return value


def _check(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    wanted = schema.get("type")
    if wanted is not None and not _is(wanted, value):
        yield Problem(path, shown(value), _type_remedy(wanted, value))
        return
    if wanted is None and isinstance(value, dict | list) and "maxProperties" in schema:
        yield Problem(path, shown(value), "write a string, a number, true or false")
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, shown(value), "write a finite number")
        return
    if "enum" in schema and value not in schema["enum"]:
        remedy = f"write one of {', '.join(schema['enum'])}{nearest(str(value), schema['enum'])}"
        yield Problem(path, shown(value), remedy)
    match value:
        case dict():
            yield from _check_object(schema, value, path)
        case list():
            yield from _check_list(schema, value, path)
        case str():
            yield from _check_string(schema, value, path)
        case int() | float() if not isinstance(value, bool):
            yield from _check_number(schema, value, path)


def _check_object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Problem]:
    properties: dict[str, Schema] = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            described = properties.get(name, {}).get("description", "").rstrip(".")
            yield Problem(_join(path, name), "", f"is required; write it{described and f': {described}'}")
    if len(value) < schema.get("minProperties", 0):
        yield Problem(path, f"{len(value)} entries", f"write at least {schema['minProperties']}")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Problem(path, f"{len(value)} entries", f"write at most {schema['maxProperties']}")
    for name, child in value.items():
        if name in properties:
            yield from _check(properties[name], child, _join(path, name))
        elif isinstance(rest, dict):
            yield from _check(rest, child, _join(path, name))
        elif properties and not schema.get(PRESERVE):
            hint = nearest(name, properties) or f" or write one of {', '.join(properties)}"
            remedy = f"unknown field; remove it{hint}"
            yield Problem(_join(path, name), "", remedy)


def _check_list(schema: Schema, value: list[Any], path: str) -> Iterator[Problem]:
    if len(value) < schema.get("minItems", 0):
        yield Problem(path, f"{len(value)} items", f"write at least {schema['minItems']}")
    if len(value) > schema.get("maxItems", len(value)):
        yield Problem(path, f"{len(value)} items", f"write at most {schema['maxItems']}")
    for index, item in enumerate(value):
        yield from _check(schema.get("items", {}), item, f"{path}[{index}]")
    keys: list[str] = schema.get("x-kubernetes-list-map-keys", [])
    seen: list[Any] = []
    for index, item in enumerate(value):
        if keys and isinstance(item, dict):
            identity: Any = [item.get(key) for key in keys]
        elif schema.get("x-kubernetes-list-type") == "set":
            identity = [item]
        else:
            continue
        if identity in seen:
            where = f"{path}[{index}].{keys[0]}" if keys else f"{path}[{index}]"
            yield Problem(where, shown(identity[0]), "is there twice; write each once")
        seen.append(identity)


def _check_string(schema: Schema, value: str, path: str) -> Iterator[Problem]:
    if len(value) < schema.get("minLength", 0):
        yield Problem(path, shown(value), f"write at least {schema['minLength']} characters")
    elif len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, shown(value), f"is {len(value)} characters long; write at most {schema['maxLength']}")
    elif "pattern" in schema and not _pattern(schema["pattern"]).search(value):
        described = schema.get("description", "").rstrip(".")
        yield Problem(path, shown(value), f"must match {schema['pattern']}{described and f' ({described})'}")


def _check_number(schema: Schema, value: float, path: str) -> Iterator[Problem]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        yield Problem(
            path, shown(value), f"write a number {'above' if schema.get('exclusiveMinimum') else 'of at least'} {low}"
        )
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        yield Problem(
            path, shown(value), f"write a number {'below' if schema.get('exclusiveMaximum') else 'of at most'} {high}"
        )


def _is(wanted: str, value: Any) -> bool:
    match wanted:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _type_remedy(wanted: str, value: Any) -> str:
    hint = ""
    if wanted == "string" and isinstance(value, bool | int | float):
        hint = ", in quotes if it looks like something else"
    elif wanted in ("integer", "number", "boolean") and isinstance(value, str):
        hint = ", without quotes"
    return f"write {WORDS[wanted]}{hint}"


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    # Go's `$` is the end of the text, Python's also stands before a last newline.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
