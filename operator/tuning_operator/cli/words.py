"""How numbers, times and parameters are written for a person; the same everywhere."""

import json
from collections.abc import Mapping
from typing import Any

from tuning_operator.api.status import FRONT_MAX


def number(value: float) -> str:
    return f"{value:.6g}"


def short(value: float) -> str:
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """`7.3s`, `1m05s`, `2h07m`"""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def parameter(value: Any) -> str:
    if isinstance(value, float):
        return short(value)
    return value if isinstance(value, str) else json.dumps(value)


def parameters(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={parameter(value)}" for name, value in values.items())


def front_size(status: Mapping[str, Any]) -> str:
    """`7 on the front`; the status holds only so many of them."""
    shown = len(status.get("front", ()))
    return f"{shown}{' or more' if shown >= FRONT_MAX else ''} on the front"


def metrics(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={number(value)}" for name, value in values.items())
