"""From pydantic models to structural schemas, the dialect of JSON schema that a CustomResourceDefinition speaks.

References are inlined, optional fields lose their `null`, numbers get formats, JSON scalars and free objects are kept
as they are. A string, list or map without an upper bound is an error of ours: the API server needs the bounds to work
out what a rule may cost.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
KEPT = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)
SCALAR: Schema = {
    PRESERVE: True,
    # The dialect has no "string, number or boolean". These bounds, which hold for objects and lists only, refuse both.
    "minItems": 1,
    "maxItems": 0,
    "minProperties": 1,
    "maxProperties": 0,
    "maxLength": 1024,
}


class UnboundedError(TypeError):
    """A field of a model has no upper bound."""


def structural(model: type[BaseModel], *, description: str = "") -> Schema:
    """The structural schema of a model."""
    whole = model.model_json_schema(by_alias=True, mode="validation")
    schema = _convert(whole, whole.get("$defs", {}), model.__name__)
    return schema | ({"description": description} if description else {})


def defaults(schema: Schema) -> dict[str, Any]:
    """What an empty object becomes."""
    return {name: child["default"] for name, child in schema["properties"].items() if "default" in child}


def _convert(node: Schema, definitions: dict[str, Schema], where: str) -> Schema:
    node = _plain(node, definitions)
    if _is_scalar_union(node):
        return SCALAR | {key: node[key] for key in ("description",) if key in node}
    out: Schema = {key: node[key] for key in KEPT if key in node}
    if out.get("default", "") is None:
        del out["default"]
    match node.get("type"):
        case "object":
            _convert_object(node, out, definitions, where)
        case "array":
            out["items"] = _convert(node["items"], definitions, f"{where}[]")
            out.setdefault("x-kubernetes-list-type", "atomic")
            _need_bound(out, "maxItems", where)
        case "string":
            if "enum" not in out:
                _need_bound(out, "maxLength", where)
        case "integer":
            out["format"] = "int64"
        case "number":
            out["format"] = "double"
        case "boolean":
            pass
        case other:
            raise TypeError(f"{where}: {other!r} has no structural form: {node}")
    for side, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if side in node:
            out |= {bound: node[side], side: True}
    return out


def _convert_object(node: Schema, out: Schema, definitions: dict[str, Schema], where: str) -> None:
    properties = node.get("properties")
    values = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
    if properties:
        out["properties"] = {
            name: _convert(child, definitions, f"{where}.{name}") for name, child in properties.items()
        }
        for name, child in properties.items():
            inner = out["properties"][name]
            if "default" not in child and name not in node.get("required", []) and "properties" in inner:
                inner["default"] = defaults(inner)  # whole: rules are held against a default before it is completed
        required = [name for name in node.get("required", []) if "default" not in out["properties"][name]]
        if required:
            out["required"] = required
        if values is True:
            out[PRESERVE] = True
    elif isinstance(values, dict):
        out["additionalProperties"] = _convert(values, definitions, f"{where}[*]")
        _need_bound(out, "maxProperties", where)
    else:
        # Values without a schema rather than an object without one: then `==` in a rule sees every key.
        out["additionalProperties"] = {PRESERVE: True, "nullable": True}
        _need_bound(out, "maxProperties", where)


def _plain(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow references and drop the `null` of optional fields; what stands next to them wins."""
    while True:
        if "$ref" in node:
            inner = definitions[node["$ref"].rpartition("/")[2]]
        elif "anyOf" in node and len(rest := [each for each in node["anyOf"] if each != {"type": "null"}]) == 1:
            inner = rest[0]
        else:
            return node
        node = inner | {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}


def _is_scalar_union(node: Schema) -> bool:
    types = {each.get("type") for each in node.get("anyOf", [])}
    return types == {"string", "integer", "number", "boolean"}


def _need_bound(schema: Schema, bound: str, where: str) -> None:
    if bound not in schema:
        raise UnboundedError(f"{where}: no {bound}; give the field a max_length")
