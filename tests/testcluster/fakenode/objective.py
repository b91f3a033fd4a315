"""What a pretended trial finds out: a fixed function of its parameters, and the report that it leaves.

Known names only; any other parameter has no influence. The best is lr=10^-2.5, momentum=0.9, layers=4, optimizer=adam.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

Parameters = Mapping[str, Any]

OPTIMIZER_PENALTY = {"adam": 0.0, "sgd": 0.1}


def bowl(parameters: Parameters, *, gap: float = 0.0) -> float:
    """A smooth bowl with its best value 0 where the module says, to be minimized. `gap` is left to gain."""
    loss = (math.log10(float(parameters.get("lr", 1e-3))) + 2.5) ** 2
    loss += (float(parameters.get("momentum", 0.9)) - 0.9) ** 2
    loss += 0.05 * abs(float(parameters.get("layers", 4)) - 4)
    return loss + OPTIMIZER_PENALTY.get(str(parameters.get("optimizer", "adam")), 0.2) + gap


def score(parameters: Parameters, *, gap: float = 0.0) -> float:
    """The same bowl the other way round, in (0, 1] and to be maximized."""
    return 1 / (1 + bowl(parameters, gap=gap))


class Objective(Protocol):
    def __call__(self, parameters: Parameters, *, gap: float = 0.0) -> float: ...


OBJECTIVES: dict[str, Objective] = {"bowl": bowl, "score": score}


def size(parameters: Parameters) -> float:
    """What a second objective is: small where the bowl is not at its best."""
    return float(parameters.get("layers", 4)) * (1 + float(parameters.get("momentum", 0.9)))


def report(metric: str, value: float, *, step: int, style: str, others: Mapping[str, float] | None = None) -> str:
    """The termination message: in the format of the trial contract, or plainly {metric: value}."""
    values = {metric: value} | dict(others or {})
    if style == "plain":
        return json.dumps(values)
    best = {name: {"value": each, "step": step} for name, each in values.items()}
    content = {"v": 1, "step": step, "done": True, "final": values, "best": best}
    return json.dumps(content, separators=(",", ":"))


def second_values(pod: Mapping[str, Any], parameters: Parameters, *, without: str) -> dict[str, float]:
    """`size`, if the pod is asked for it."""
    asked = {each["metric"] for each in json.loads(_variable(pod, "TUNING_OBJECTIVES") or "[]")}
    return {"size": size(parameters)} if "size" in asked - {without} else {}


def replicate_of(pod: Mapping[str, Any]) -> int:
    """Which run of its trial this is; each comes to a slightly different value."""
    return int(_variable(pod, "TUNING_REPLICATE") or 0)


def _variable(pod: Mapping[str, Any], name: str) -> str:
    variables = pod["spec"]["containers"][0].get("env") or ()
    return next((each.get("value", "") for each in variables if each["name"] == name), "")


def parameters_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the pod's TUNING_PARAMETERS; empty if there are none that can be read."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env", []):
            if variable["name"] == "TUNING_PARAMETERS" and variable.get("value"):
                try:
                    found = json.loads(variable["value"])
                except ValueError:
                    continue
                if isinstance(found, dict):
                    return found
    return {}
