"""Studies for reports: a function of two parameters that matter together, one that does not, and everything around."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tuning_operator.cli.report.data import Curve, ReportData, report_data

SPACE = [
    {"name": "lr", "float": {"min": 1e-4, "max": 1e-1, "scale": "Log"}},
    {"name": "layers", "int": {"min": 1, "max": 4}},
    {"name": "idle", "float": {"min": 0, "max": 1}},
    {"name": "optimizer", "choice": ["sgd", "adam"]},
    {"name": "momentum", "float": {"min": 0, "max": 1}, "when": [{"parameter": "optimizer", "values": ["sgd"]}]},
]
ACC = {"metric": "acc", "goal": "Maximize"}
SIZE = {"metric": "size", "goal": "Minimize"}
LATENCY = {"metric": "latency", "goal": "Minimize"}
HEAT = {"metric": "heat", "goal": "Minimize"}
START = datetime(2026, 1, 1, tzinfo=UTC)


def parameters(number: int) -> dict[str, Any]:
    draw = random.Random(number)
    found = {"lr": 10 ** draw.uniform(-4, -1), "layers": draw.randint(1, 4), "idle": draw.random()}
    found["optimizer"] = draw.choice(["sgd", "adam"])
    return found | ({"momentum": draw.random()} if found["optimizer"] == "sgd" else {})


def measured(point: Mapping[str, Any]) -> dict[str, float]:
    x, y = (math.log10(point["lr"]) + 2.5) / 1.5, (point["layers"] - 2.5) / 1.5
    size = 2.0 ** point["layers"] * (1 + point["idle"])
    return {"acc": 0.9 - 0.2 * (x - y) ** 2, "size": size, "latency": size**0.5 + x, "heat": 1 - x + y}


def a_trial(number: int, *, metrics: Sequence[str] = ("acc",), state: str = "Succeeded", **more: Any) -> dict[str, Any]:
    point = parameters(number)
    everything = measured(point)
    values = {name: everything[name] for name in metrics} if state == "Succeeded" else {}
    status: dict[str, Any] = {
        "state": state,
        "startTime": (START + timedelta(seconds=number)).isoformat(),
        "completionTime": (START + timedelta(seconds=number + 2)).isoformat(),
        "rungs": more.pop("rungs", []),
    }
    suggestion = {"by": "TPE", "known": number, "reason": more.pop("why", "random start")}
    if "parent" in more:
        suggestion["parent"] = more.pop("parent")
    role = more.pop("role", "Search")
    if state in ("Succeeded", "Failed", "Stopped"):
        reason = "Completed" if state == "Succeeded" else "OutOfMemory"
        status["result"] = {"state": state, "reason": reason, "values": values, "metrics": everything} | more
    return {"spec": {"number": number, "role": role, "parameters": point, "suggestion": suggestion}, "status": status}


def a_rung(budget: int, value: float, *, promoted: bool = False) -> dict[str, Any]:
    return {"budget": budget, "values": {"acc": value}, "promoted": promoted}


def a_report(
    *trials: dict[str, Any],
    objectives: Sequence[Mapping[str, Any]] = (ACC,),
    best: int | None = 0,
    curves: Mapping[int, Curve] | None = None,
    constraints: Sequence[Mapping[str, Any]] = (),
    space: Sequence[Mapping[str, Any]] = SPACE,
    **status: Any,
) -> ReportData:
    spec = {"objectives": objectives, "constraints": constraints, "parameters": space, "trial": {"trainer": {}}}
    named = {} if best is None else {"best": {"number": best}}
    study = {"metadata": {"name": "digits"}, "spec": spec, "status": {"state": "Succeeded", **named, **status}}
    return report_data(study, trials, curves=curves)


def an_asha_study(count: int = 60) -> list[dict[str, Any]]:
    """Half of the trials end at step 1, half of the others at 3, the rest goes to 9."""
    trials = []
    for number in range(count):
        last = (1, 3, 1, 9)[number % 4]
        value = measured(parameters(number))["acc"]
        rungs = [a_rung(b, value - 0.3 / b, promoted=b < last) for b in (1, 3, 9) if b <= last]
        state = "Succeeded" if last == 9 else "Paused" if number > count - 4 else "Stopped"
        trials.append(a_trial(number, state=state, rungs=rungs, **({"reason": "NotPromoted"} if last < 9 else {})))
    return trials
