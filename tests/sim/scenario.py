"""A scenario from a seed: a study, what its trials do, what goes wrong, and what people do to it meanwhile.

All faults end after half an hour of virtual time, so that every study must come to its end (P7).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.sim.nodes import Faults, Programs
from tuning_operator.api.study import StudySpec

CALM = 1800.0
"""From here on nothing goes wrong any more."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which something is so, in seconds since the beginning."""

    begin: float
    end: float
    what: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does at a time."""

    at: float
    what: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    spec: dict[str, Any]
    programs: Programs = field(default_factory=Programs)
    faults: Faults = field(default_factory=Faults)
    refusals: tuple[Window, ...] = ()
    troubles: tuple[Window, ...] = ()
    deeds: tuple[Deed, ...] = ()

    def study_spec(self) -> StudySpec:
        return StudySpec.model_validate(self.spec)


def scenario(seed: int) -> Scenario:
    rng = random.Random(seed)
    spec = _spec(rng)
    if seed % 3 == 1:
        _climbing(random.Random(f"rungs-{seed}"), spec)
    programs, faults = _programs(rng, endless="timeout" in spec["trial"]), _faults(rng)
    if seed % 4 in (2, 3):
        more = random.Random(f"more-{seed}")
        _richer(more, spec)
        faults = _more_faults(more, faults)
    return Scenario(
        seed=seed,
        spec=spec,
        programs=programs,
        faults=faults,
        refusals=_windows(rng, 0.15, ["QuotaExceeded", "QuotaExceeded", "Forbidden"]),
        troubles=_windows(rng, 0.15, ["Unschedulable", "ErrImagePull", "CreateContainerConfigError", "Queued"]),
        deeds=_deeds(rng, spec),
    )


def _spec(rng: random.Random) -> dict[str, Any]:
    objective: dict[str, Any] = {"metric": "accuracy", "goal": "Maximize"}
    if rng.random() < 0.2:
        objective |= {"summarize": rng.choice(["Best", "Mean"])}
    if rng.random() < 0.2:
        objective["target"] = rng.choice([0.9, 0.99, 0.999])
    if rng.random() < 0.1:
        objective = {"metric": "loss", "goal": "Minimize"}
    limits: dict[str, Any] = {
        "trials": rng.randint(1, 14),
        "parallel": rng.randint(1, 5),
        "failures": rng.randint(0, 6),
    }
    parameters: list[dict[str, Any]] = [{"name": "x", "float": {"min": 0, "max": 1}}]
    algorithm = "Random"
    if rng.random() < 0.3:
        parameters = [{"name": "x", "float": {"min": 0, "max": 1, "step": rng.choice([0.5, 0.25])}}]
        algorithm = rng.choice(["Grid", "Random"])
        if algorithm == "Grid" and rng.random() < 0.5:
            del limits["trials"]
    if rng.random() < 0.15:
        limits["duration"] = rng.choice(["60s", "5m", "20m"])
    if rng.random() < 0.15:
        limits["acceleratorHours"] = rng.choice([0.01, 0.05, 0.2])
    if rng.random() < 0.15:
        limits["patience"] = rng.randint(1, 5)
    trial: dict[str, Any] = {"trainer": {}, "retries": rng.randint(0, 3)}
    if rng.random() < 0.4:
        trial["timeout"] = rng.choice(["20s", "2m", "10m"])
    spec: dict[str, Any] = {
        "objectives": [objective],
        "parameters": parameters,
        "algorithm": {"name": algorithm, "seed": rng.randint(0, 99)},
        "limits": limits,
        "trial": trial,
        "metrics": {"waitSeconds": rng.choice([0, 5, 30])},
    }
    if rng.random() < 0.5:
        spec["final"] = {"retrain": True}
    return spec


def _climbing(rng: random.Random, spec: dict[str, Any]) -> None:
    """Rungs, replicates, or both."""
    if rng.random() < 0.2:
        spec["trial"]["replicates"] = {"count": rng.randint(2, 3), "giveUp": rng.random() < 0.5}
    if rng.random() < 0.9:
        spec["fidelity"] = {"min": 1, "max": rng.choice([9, 27]), "reduction": rng.choice([2, 3])}
        spec["scheduler"] = rng.choice(SCHEDULERS)
        spec["limits"]["trials"] = rng.randint(1, 20)


def _richer(rng: random.Random, spec: dict[str, Any]) -> None:
    """Further runs of the best, a second objective, a constraint."""
    if "final" in spec and rng.random() < 0.4:
        spec["final"]["confirm"] = {"top": rng.randint(1, 3), "runs": rng.randint(1, 3)}
    first = spec["objectives"][0]
    if rng.random() < 0.2 and "patience" not in spec["limits"]:
        other = {"metric": "loss" if first["metric"] == "accuracy" else "accuracy", "goal": "Maximize"}
        spec["objectives"] = [first, other]
    if rng.random() < 0.2:
        spec["constraints"] = [{"metric": "accuracy", "max": rng.choice([0.5, 0.9, 2.0])}]


SCHEDULERS: list[dict[str, Any]] = [
    {"name": "None"},
    {"name": "ASHA"},
    {"name": "ASHA", "asha": {"mode": "Pause"}},
    {"name": "ASHA", "asha": {"mode": "Stop"}},
    {"name": "Hyperband"},
    {"name": "Hyperband", "hyperband": {"mode": "Synchronous"}},
    {"name": "SuccessiveHalving"},
    {"name": "Median", "median": {"startupTrials": 2}},
    {"name": "PBT", "pbt": {"population": 4}},
]


def _programs(rng: random.Random, *, endless: bool) -> Programs:
    weights = {"good": 10.0}
    kinds = ["42", "43", "44", "1", "oom", "again", "stops", "nan", "silent", "unknown", "not found"]
    if endless:
        kinds.append("endless")
    for kind in kinds:
        if rng.random() < 0.2:
            weights[kind] = rng.choice([1.0, 5.0])
    return Programs(weights=weights, work=rng.choice([(0.1, 3.0), (5.0, 60.0)]), late_report=rng.choice([0.0, 0.3]))


def _faults(rng: random.Random) -> Faults:
    def some(*values: float) -> float:
        return rng.choice([0.0, *values])

    return Faults(
        crash=some(0.01, 0.05, 0.15),
        api_error=some(0.02, 0.2),
        answer_lost=some(0.02, 0.2),
        lag=some(0.5, 3.0),
        watch_lost=some(0.1, 0.5),
        disorder=some(0.5),
        disruption=some(0.1, 0.4),
        vanish=some(0.5),
        quick_end=some(0.5),
        lost_checkpoint=some(0.2),
    )


def _more_faults(rng: random.Random, faults: Faults) -> Faults:
    return replace(
        faults,
        conflict=rng.choice([0.0, 0.1, 0.3]),
        throttled=rng.choice([0.0, 0.1, 0.3]),
        expired=rng.choice([0.0, 0.2]),
        lingers=rng.choice([0.0, 0.0, 0.5]),
    )


def _windows(rng: random.Random, likely: float, what: list[str]) -> tuple[Window, ...]:
    if rng.random() >= likely:
        return ()
    begin = rng.choice([0.0, rng.uniform(0.0, 300.0)])
    return (Window(begin, begin + rng.uniform(5.0, 900.0), rng.choice(what)),)


def _deeds(rng: random.Random, spec: dict[str, Any]) -> tuple[Deed, ...]:
    deeds: list[Deed] = []
    if rng.random() < 0.25:
        at = rng.uniform(0.0, 200.0)
        for _ in range(rng.randint(1, 3)):
            deeds += [Deed(at, "suspend", True), Deed(at + rng.choice([0.1, 1.0, 5.0, 100.0]), "suspend", False)]
            at += rng.uniform(100.0, 200.0)
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 3)):
            name = rng.choice(["parallel", "trials", "failures"])
            if name in spec["limits"]:
                low = 0 if name == "failures" else 1
                deeds.append(Deed(rng.uniform(0.0, 600.0), "limit", (name, rng.randint(low, 12))))
    if rng.random() < 0.3:
        deeds += [Deed(rng.uniform(0.0, 300.0), "delete job") for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.2:
        deeds.append(Deed(rng.uniform(0.0, 600.0), "forget status"))
    if rng.random() < 0.1:
        deeds.append(Deed(rng.uniform(0.0, 300.0), "drop final"))
    if rng.random() < 0.1:
        deeds.append(Deed(rng.uniform(0.0, 300.0), "delete study"))
    return tuple(sorted(deeds, key=lambda deed: deed.at))


def _calm(**changes: Any) -> Scenario:
    """Nothing goes wrong by itself."""
    spec: dict[str, Any] = {
        "objectives": [{"metric": "accuracy", "goal": "Maximize"}],
        "parameters": [{"name": "x", "float": {"min": 0, "max": 1}}],
        "algorithm": {"name": "Random", "seed": 3},
        "limits": {"trials": 4, "parallel": 2, "failures": 4},
        "trial": {"trainer": {}, "retries": 2},
    }
    return Scenario(seed=0, spec=spec | changes, programs=Programs(work=(5.0, 30.0)))


_FIDELITY = {"min": 1, "max": 9, "reduction": 3}
CALM_ONES: dict[str, Scenario] = {
    "plain": _calm(final={"retrain": True}),
    "failures": replace(
        _calm(limits={"trials": 6, "parallel": 2, "failures": 2}),
        programs=Programs(weights={"good": 1.0, "1": 1.0, "again": 1.0, "oom": 1.0}, work=(5.0, 30.0)),
    ),
    "grid": _calm(
        parameters=[{"name": "x", "float": {"min": 0, "max": 1, "step": 0.25}}],
        algorithm={"name": "Grid"},
        limits={"parallel": 2},
    ),
    "replicates": _calm(trial={"trainer": {}, "replicates": {"count": 2, "giveUp": True}}),
    "confirmed": _calm(final={"retrain": True, "confirm": {"top": 2, "runs": 2}}),
    "ASHA": _calm(fidelity=_FIDELITY, scheduler={"name": "ASHA"}, limits={"trials": 6, "parallel": 2}),
    "ASHA that pauses": _calm(
        fidelity=_FIDELITY, scheduler={"name": "ASHA", "asha": {"mode": "Pause"}}, limits={"trials": 6, "parallel": 2}
    ),
    "Hyperband": _calm(
        fidelity=_FIDELITY,
        scheduler={"name": "Hyperband", "hyperband": {"mode": "Synchronous"}},
        limits={"trials": 9, "parallel": 3},
    ),
    "PBT": _calm(
        fidelity={"min": 3, "max": 9},
        scheduler={"name": "PBT", "pbt": {"population": 4}},
        limits={"trials": 12, "parallel": 4},
    ),
}
"""For hits at single failpoints, by name."""
