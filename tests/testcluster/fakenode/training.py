"""A pretended trial that trains step by step (`TUNING_FIDELITY`): its curve, its rungs, its checkpoint, its report.

The curve is the objective's value plus what training still has to gain at that step; it is a fixed function of the
parameters, so that a trial tells the same whenever and however often it is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.testcluster.fakenode.objective import OBJECTIVES, parameters_of, replicate_of, second_values

Object = Mapping[str, Any]
Location = tuple[str, str, str]
"""Namespace, claim, and folder in it."""


@dataclass(frozen=True)
class Checkpoint:
    """What an attempt leaves to the next one."""

    step: int = 0
    rungs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fidelity:
    """As a trial is told it."""

    full: int
    until: int
    rungs: tuple[int, ...]


class Training:
    """One attempt. Nothing here sleeps: the node says when a step is done."""

    def __init__(self, pod: Object, fidelity: Fidelity, begin: Checkpoint, *, metric: str, objective: str) -> None:
        self.fidelity = fidelity
        self.step = begin.step
        self._rungs = {budget: dict(values) for budget, values in begin.rungs.items()}
        self._parameters = parameters_of(pod)
        self._offset = 0.01 * replicate_of(pod)
        self._others = second_values(pod, self._parameters, without=metric)
        self._metric = metric
        self._objective = OBJECTIVES[objective]

    @property
    def over(self) -> bool:
        return self.step >= self.fidelity.until

    @property
    def done(self) -> bool:
        return self.step >= self.fidelity.full

    def advance(self) -> None:
        self.step += 1
        for budget in self.fidelity.rungs:
            if budget <= self.step:
                self._rungs.setdefault(budget, self.values())

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.step, {budget: dict(values) for budget, values in self._rungs.items()})

    def values(self) -> dict[str, float]:
        value = self._objective(self._parameters, gap=1 / max(1, self.step)) + self._offset
        return {self._metric: value} | self._others

    def report(self) -> str:
        """The termination message; empty before the first step, as a trial has told nothing then."""
        if not self.step:
            return ""
        values = self.values()
        content: dict[str, Any] = {"v": 1, "step": self.step, "steps": self.fidelity.full, "final": values}
        content["best"] = {name: {"value": value, "step": self.step} for name, value in values.items()}
        content["rungs"] = {str(budget): values for budget, values in sorted(self._rungs.items())}
        return json.dumps(content | {"done": self.done}, separators=(",", ":"))

    def exposition(self, *, rungs: bool) -> str:
        """`/metrics` as it is now; without `rungs` that of an image that knows nothing of them."""
        if not self.step:
            return ""
        lines = [f"tuning_step {self.step}", *(f"tuning_{name} {value!r}" for name, value in self.values().items())]
        for budget, values in sorted(self._rungs.items()) if rungs else ():
            lines += [f'tuning_rung{{metric="{name}",budget="{budget}"}} {value!r}' for name, value in values.items()]
        return "\n".join([*lines, ""])


def fidelity_of(pod: Object) -> Fidelity | None:
    """What the pod's `TUNING_FIDELITY` says, if it has one."""
    text = env_of(pod).get("TUNING_FIDELITY")
    if not text:
        return None
    told = json.loads(text)
    return Fidelity(told["max"], told["until"], tuple(told["rungs"]))


def env_of(pod: Object) -> dict[str, str]:
    """Plain variables of the pod's first container."""
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env") or ()}


def location(pod: Object, variable: str) -> Location | None:
    """Where the directory that a variable names is kept; None where it goes with the pod, or there is none."""
    directory = env_of(pod).get(variable)
    for mount in pod["spec"]["containers"][0].get("volumeMounts") or ():
        if directory and mount["mountPath"] == directory:
            volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
            claim = volumes[mount["name"]].get("persistentVolumeClaim")
            if claim:
                return pod["metadata"]["namespace"], claim["claimName"], mount.get("subPath", "")
    return None
