"""Random studies for comparing two judges: drawn from the schema, mostly well-formed, sometimes quite wrong."""

import copy
from typing import Any

from hypothesis import strategies as st

from tests.unit.api.corpus import a_study
from tuning_operator.api.crd import study_schema

Schema = dict[str, Any]

SPEC: Schema = study_schema()["properties"]["spec"]

NAMES = ("lr", "LR", "l.r", "x", "y", "z", "a", "b", "c", "optimizer", "1x")
NUMBERS = (-1, 0, 1, 2, 3, 10, 2.5, 0.1, -0.5, 1e-9, 2**53, 2**53 + 1, 1e300, 10001)
WEIRD = (None, True, False, 0, 1, 1.5, -1, "", "a", "Log", "0", [], {}, [1], {"a": 1}, 10**20, "x" * 2000)


def studies() -> st.SearchStrategy[dict[str, Any]]:
    """The base with some fields replaced by random ones, and sometimes one value replaced by a weird one."""
    names = st.lists(st.sampled_from(WORKING), max_size=2, unique=True) | st.lists(
        st.sampled_from([*FIELDS]), max_size=2
    )
    fields = names.flatmap(lambda held: st.fixed_dictionaries({each: FIELDS[each] for each in held}))
    return st.builds(_merged, fields, st.just([]) | st.lists(_damage(), max_size=1))


def _merged(fields: dict[str, Any], damage: list[tuple[int, Any]]) -> dict[str, Any]:
    study = a_study(**copy.deepcopy(fields))
    for turn, value in damage:
        places = list(_places(study["spec"]))
        holder, key = places[turn % len(places)]
        holder[key] = copy.deepcopy(value)
    return study


def _damage() -> st.SearchStrategy[tuple[int, Any]]:
    return st.tuples(st.integers(0, 1000), st.sampled_from(WEIRD))


def _places(value: Any) -> list[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, child in entries:
        found.append((value, key))
        found += _places(child)
    return found


def _node(schema: Schema, name: str) -> st.SearchStrategy[Any]:
    """Mostly what the schema takes, as far as one field can tell."""
    match schema.get("type"):
        case "object" if "choice" in schema.get("properties", {}):
            return _parameter(schema)
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            parts = {key: _node(child, key) for key, child in schema["properties"].items()}
            return st.fixed_dictionaries(
                {key: parts[key] for key in required},
                optional={key: part for key, part in parts.items() if key not in required},
            )
        case "object":
            return st.sampled_from(({}, {"data": "digits"}, {"a": {"b": [1, None]}}))
        case "array":
            low, high = schema.get("minItems", 0), min(schema["maxItems"], 4)
            return st.lists(_node(schema["items"], name), min_size=low, max_size=high)
        case "string" if "enum" in schema:
            return st.sampled_from(schema["enum"])
        case "string":
            return st.sampled_from(
                {
                    "name": NAMES,
                    "parameter": NAMES,
                    "metric": ("acc", "val_loss", "a:b", "c", "d", "a-b"),
                    "to": ("/spec/a", "/spec/a/0", "/spec/b", "/a~1b", "/a~b"),
                    "duration": ("1h", "90s", "1h1m1s", "2m", "3h", "1s1m", "1.5h", "h"),
                    "timeout": ("1h", "90s", "3m", ""),
                    "path": ("/m", "/", "m"),
                }.get(name, ("a", "a.b", "b", "nvidia.com/gpu"))
            )
        case "integer":
            whole = [number for number in NUMBERS if isinstance(number, int)]
            return st.integers(1, 5) | st.integers(1, 5) | st.sampled_from([*whole, 2.5])
        case "number":
            return st.floats(0, 3).map(_as_json) | st.sampled_from(NUMBERS)
        case "boolean":
            return st.booleans()
        case _:
            return st.sampled_from(("a", "b", "c", 1, 2, 3, 4, 0.5, True, False, "1", "d", "e", {}, [1]))


def _parameter(schema: Schema) -> st.SearchStrategy[Any]:
    """One kind of values most of the time, and ranges the right way round."""
    parts = {key: _node(child, key) for key, child in schema["properties"].items()}
    kinds = [{kind: parts[kind]} for kind in ("float", "int", "choice", "ordinal", "expression")]
    one = st.sampled_from(kinds).flatmap(lambda kind: st.fixed_dictionaries({"name": parts["name"]} | kind))
    rest = {key: part for key, part in parts.items() if key != "name"}
    return st.one_of(
        one.map(_ordered), one.map(_ordered), st.fixed_dictionaries({"name": parts["name"]}, optional=rest)
    )


def _ordered(parameter: Any) -> Any:
    for held in (parameter.get("float"), parameter.get("int"), *parameter.get("when", [])):
        if held and held.get("min", 0) > held.get("max", held.get("min", 0)):
            held["min"], held["max"] = held["max"], held["min"]
    return parameter


def _as_json(value: float) -> float:
    return int(value) if value.is_integer() else value


FIELDS = {name: _node(child, name) for name, child in SPEC["properties"].items()}
WORKING = (
    "objectives", "constraints", "parameters", "forbidden", "enqueue", "warmStart",
    "algorithm", "limits", "trial", "metrics", "final", "suspend",
)  # fmt: skip
