"""What a pretended trial finds out: a fixed function of its parameters, and the report that it leaves.

Known names only; any other parameter has no influence. The best is lr=10^-2.5, momentum=0.9, layers=4, optimizer=adam.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

Parameters = Mapping[str, Any]

OPTIMIZER_PENALTY = {"adam": 0.0, "sgd": 0.1}


def bowl(parameters: Parameters) -> float:
    """A smooth bowl with its best value 0 where the module says, to be minimized."""
    loss = (math.log10(float(parameters.get("lr", 1e-3))) + 2.5) ** 2
    loss += (float(parameters.get("momentum", 0.9)) - 0.9) ** 2
    loss += 0.05 * abs(float(parameters.get("layers", 4)) - 4)
    return loss + OPTIMIZER_PENALTY.get(str(parameters.get("optimizer", "adam")), 0.2)


def score(parameters: Parameters) -> float:
    """The same bowl the other way round, in (0, 1] and to be maximized."""
    return 1 / (1 + bowl(parameters))


OBJECTIVES: dict[str, Callable[[Parameters], float]] = {"bowl": bowl, "score": score}


def report(metric: str, value: float, *, step: int, style: str) -> str:
    """The termination message: in the format of the trial contract, or plainly {metric: value}."""
    if style == "plain":
        return json.dumps({metric: value})
    best = {metric: {"value": value, "step": step}}
    content = {"v": 1, "step": step, "done": True, "final": {metric: value}, "best": best}
    return json.dumps(content, separators=(",", ":"))


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
