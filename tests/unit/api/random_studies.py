"""Random studies for comparing two judges: drawn from the schema, mostly well-formed, sometimes quite wrong."""

import copy
from typing import Any

from hypothesis import strategies as st

from tests.unit.api.corpus import a_study
from tuning_operator.api.crd import study_schema

Schema = dict[str, Any]

SPEC: Schema = study_schema()["properties"]["spec"]

NAMES = ("lr", "LR", "l.r", "l-r", "x", "optimizer", "1x", "")
NUMBERS = (-1, 0, 1, 2, 3, 10, 2.5, 0.1, -0.5, 1e-9, 2**31, 2**53, 2**53 + 1, 10**18, 1e300, 10001)
WEIRD = (None, True, False, 0, 1, 1.5, -1, "", "a", "Log", "0", [], {}, [1], {"a": 1}, 10**20, "x" * 2000)


def studies() -> st.SearchStrategy[dict[str, Any]]:
    """Studies of which about half are good: the base, with some fields replaced by random ones."""
    fields = st.fixed_dictionaries(
        {}, optional={name: _node(child, name) for name, child in SPEC["properties"].items()}
    )
    return st.builds(_merged, fields, st.lists(_damage(), max_size=2))


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
                    "metric": ("acc", "val_loss", "a:b", "a-b"),
                    "to": ("/spec/a", "/spec/a/0", "spec", "/a~1b", "/a~b"),
                    "duration": ("1h", "90s", "1h1m1s", "1s1m", "1.5h", "h"),
                    "timeout": ("1h", "90s", ""),
                    "path": ("/m", "m"),
                }.get(name, ("a", "a.b", "A", "nvidia.com/gpu"))
            )
        case "integer":
            whole = [number for number in NUMBERS if isinstance(number, int)]
            return st.sampled_from([*whole, 2.5]) | st.integers(1, 5)
        case "number":
            return st.sampled_from(NUMBERS) | st.floats(-3, 3).map(_as_json)
        case "boolean":
            return st.booleans()
        case _:
            return st.sampled_from(("a", "b", 1, 2, 0.5, True, False, "1", {}, [], [1]))


def _as_json(value: float) -> float:
    return int(value) if value.is_integer() else value
