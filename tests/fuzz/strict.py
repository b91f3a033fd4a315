"""Whether a structural schema takes a value: written from the OpenAPI rules alone, to judge the product's checks."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
    "number": (int, float),
}  # fmt: skip


def complaint(schema: Schema, value: Any, path: str = "") -> str | None:
    """The first thing that is wrong."""
    if value is None and schema.get("nullable"):
        return None
    kind = schema.get("type")
    if kind is not None:
        whole = kind == "integer" and isinstance(value, float) and value.is_integer()
        if not (isinstance(value, _TYPES[kind]) or whole) or (isinstance(value, bool) and kind != "boolean"):
            return f"{path}: {value!r:.60} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path}: {value!r:.60} is none of {schema['enum']}"
    if isinstance(value, dict):
        return _of_object(schema, value, path)
    if isinstance(value, list):
        return _of_list(schema, value, path)
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return f"{path}: a text of {len(value)} characters"
        if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
            return f"{path}: {value!r:.60} is not {schema['pattern']}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(schema, value, path)
    return None


def _of_object(schema: Schema, value: dict[str, Any], path: str) -> str | None:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    # The API server takes a null where none may be for a field that is not there.
    value = {name: child for name, child in value.items() if child is not None or _nullable(known.get(name, rest))}
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path}: {name} is missing"
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        return f"{path}: {len(value)} properties"
    for name, child in value.items():
        inner = known.get(name, rest if isinstance(rest, dict) else None)
        if inner is None:
            if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
                return f"{path}: {name!r} is unknown"
            continue
        found = complaint(inner, child, f"{path}.{name}")
        if found:
            return found
    return None


def _of_list(schema: Schema, value: list[Any], path: str) -> str | None:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return f"{path}: {len(value)} items"
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys and all(isinstance(each, dict) for each in value):
        names = [tuple(each.get(key) for key in keys) for each in value]
        if len(set(names)) < len(names):
            return f"{path}: two items of one name"
    for index, child in enumerate(value):
        found = complaint(schema.get("items", {}), child, f"{path}[{index}]")
        if found:
            return found
    return None


def _of_number(schema: Schema, value: float, path: str) -> str | None:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    if not low <= value <= high:
        return f"{path}: {value} is not within {low} and {high}"
    if (schema.get("exclusiveMinimum") is True and value == low) or (
        schema.get("exclusiveMaximum") is True and value == high
    ):
        return f"{path}: {value} is a bound that is left out"
    return None


def _nullable(schema: Any) -> bool:
    return not isinstance(schema, dict) or bool(schema.get("nullable"))
