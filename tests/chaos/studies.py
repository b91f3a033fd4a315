"""The studies that run meanwhile: one of each kind in turn, some of whose trials go wrong by themselves."""

from __future__ import annotations

import random
from typing import Any

from tests.operator_process import a_study
from tests.testcluster.fakenode import Rule

Object = dict[str, Any]

CLAIM = "checkpoints"
TRIALS = 12
FIDELITY = {"parameter": "epochs", "min": 1, "max": 9, "reduction": 3}
LOSS, SIZE = {"metric": "loss", "goal": "Minimize"}, {"metric": "size", "goal": "Minimize"}
GRID = [{"name": "layers", "int": {"min": 1, "max": 6}}, {"name": "optimizer", "choice": ["sgd", "adam"]}]


def climbing(scheduler: Object, **spec: Any) -> Object:
    return {"fidelity": FIDELITY, "scheduler": scheduler, "metrics": {"intervalSeconds": 1}} | spec


KINDS: dict[str, Object] = {
    "tpe": {},
    "asha-hybrid": climbing({"name": "ASHA"}),
    "grid": {"algorithm": {"name": "Grid"}, "parameters": GRID},
    "asha-pause": climbing({"name": "ASHA", "asha": {"mode": "Pause"}}),
    "replicated": {"algorithm": {"name": "Random", "seed": 1}},
    "pbt": climbing({"name": "PBT", "pbt": {"population": 4}}, fidelity=FIDELITY | {"min": 3}, algorithm={"seed": 1}),
    "front": {"objectives": [LOSS, SIZE], "algorithm": {"name": "NSGAII", "seed": 1}},
    "hyperband": climbing({"name": "Hyperband", "hyperband": {"mode": "Synchronous"}}),
    "confirmed": {"final": {"retrain": True, "confirm": {"top": 2, "runs": 2}}},
    "workers": {"algorithm": {"name": "QuasiRandom"}},
    "median": climbing({"name": "Median", "median": {"interval": 1, "startupTrials": 2}}),
    "gp": {"algorithm": {"name": "GP", "seed": 1}},
}


def the_study(number: int, *, trials: int = TRIALS) -> Object:
    """The `number`th one; its name begins with its kind."""
    kind = list(KINDS)[number % len(KINDS)]
    study = a_study(f"{kind}-{number}", trials=trials, parallel=3, **KINDS[kind])
    study["spec"]["limits"] |= {"failures": 100}
    if "scheduler" in study["spec"]:
        study["spec"]["trial"]["checkpoints"] = {"claimName": CLAIM}
    if kind == "replicated":
        study["spec"]["trial"]["replicates"] = {"count": 2, "giveUp": False}
    if kind == "workers":
        study["spec"]["trial"]["workers"] = 2
    return study


def rules(seed: int) -> list[Rule]:
    """What the node does by itself: some pods are preempted, ask for another attempt, run out of memory or crash."""
    rng = random.Random(seed)
    found: dict[str, list[int]] = {"disrupt": [], "again": [], "oom": [], "crash": []}
    for ordinal in range(1, 4_000):
        end = rng.choices([*found, "succeed"], [4, 2, 2, 2, 90])[0]
        if end in found:
            found[end].append(ordinal)
    slow = [Rule(name=name, seconds=3.0) for name, spec in KINDS.items() if "scheduler" in spec]
    return [
        Rule(end="disrupt", ordinals=tuple(found["disrupt"])),
        Rule(end="exit", code=75, ordinals=tuple(found["again"])),
        Rule(end="oom", ordinals=tuple(found["oom"])),
        Rule(end="exit", code=1, ordinals=tuple(found["crash"])),
        *slow,
    ]
