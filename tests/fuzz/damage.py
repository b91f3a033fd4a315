"""Damage to what was well-formed: to trees of JSON, with or without other types, and to bytes."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, 1e-300, 1e300, 2**31, 2**53 + 1, 10**25, "", "a", "NaN", "Infinity", "1e999", "0",
    "x" * 3000, "\x00", "é\ud7ff", "-", "../..", "{}", [], {}, [[]], [None], {"": {}}, {"a": 1, "b": [2]},
)  # fmt: skip
PIECES = (
    b"", b"\n", b"\r", b"\x00", b"\xff\xfe", b"{", b"}", b"[" * 2000, b'"', b"\\", b"NaN", b"-Infinity", b"1e999",
    b"=", b" ", b"tuning_loss 0.5\n", b"loss 1\nloss 2\n", b"# TYPE loss gauge\n", b"9" * 400, b"tuning_rung_value{",
    b"\x1b[31m", b":",
)  # fmt: skip


def tree(rng: random.Random, value: Any, *, times: int, typed: bool = False) -> Any:
    """A copy in which up to so many places are changed, removed, doubled or exchanged. `typed`: a leaf stays of its
    type, as the API server sees to it."""
    root = {"root": copy.deepcopy(value)}
    for _ in range(times):
        places = list(_places(root))
        if not places:
            break
        holder, key = rng.choice(places)
        how = rng.randrange(5)
        if how == 0 and (holder is not root):
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
        elif typed:
            holder[key] = _alike(rng, holder[key])
        elif how == 2 and isinstance(holder, dict):
            holder[rng.choice(("a", "min", "name", "x" * 70, "", "spec"))] = copy.deepcopy(holder[key])
        elif how == 3:
            other, there = rng.choice(places)
            holder[key] = copy.deepcopy(other[there])
        else:
            holder[key] = copy.deepcopy(rng.choice(STRANGE))
    return root.get("root")


def text(rng: random.Random, body: bytes) -> bytes:
    """The same with pieces cut out, doubled, put in or turned."""
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(body) + 1)
        upto = min(len(body), at + rng.randrange(1, 30))
        how = rng.randrange(4)
        middle = body[at:upto]
        if how == 0:
            middle = b""
        elif how == 1:
            middle = rng.choice(PIECES) + middle
        elif how == 2:
            middle += middle
        elif middle:
            middle = bytes((middle[0] ^ (1 << rng.randrange(8)), *middle[1:]))
        body = body[:at] + middle + body[upto:]
    return body


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, child in entries:
        found.append((value, key))
        found += _places(child)
    return found


def _alike(rng: random.Random, value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return rng.choice((0, 1, 2, value + 1, max(0, value - 1), 255, 2**31 - 1))
        case float():
            return rng.choice((0.0, -1.0, value * 2, 1e300, 1e-300))
        case str():
            return rng.choice(
                ("", "x" * 1500, value[:-1], value + "0", "Unknown", "2026-01-31T12:00:09Z", "True", "-1", "7")
            )
        case list():
            return value[: rng.randrange(len(value) + 1)]
        case dict():
            return {key: child for key, child in value.items() if rng.random() < 0.7}
    return value
