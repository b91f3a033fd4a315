"""Which pods go wrong, and how: the first rule that matches a pod decides; a pod without a rule succeeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

ENDS = ("succeed", "exit", "oom", "image", "disrupt", "never", "pending")


@dataclass(frozen=True)
class Rule:
    """Match pods and say how they end.

    Matching, all of it must hold: `ordinals` are the numbers of the pods in the order in which this node saw them
    (from 1); `parameters` maps a parameter to a value it must equal, or to [min, max] it must lie in; `name` is a part
    of the pod's name; `labels` must be the pod's; `times` bounds how many pods the rule takes (0 is no bound).

    Ends: `succeed` (with `message` and `seconds` as given here), `exit` with `code`, `oom` (OOMKilled, 137), `image`
    (never starts: ErrImagePull, then ImagePullBackOff), `disrupt` (DisruptionTarget condition, then failed with 143),
    `never` (runs until deleted), `pending` (stays without any status from the node).
    """

    end: str = "succeed"
    ordinals: tuple[int, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    times: int = 0
    code: int = 1
    message: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.end not in ENDS:
            raise ValueError(f"rule with end {self.end!r}: write one of {', '.join(ENDS)}")

    def matches(self, ordinal: int, pod: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        labels = pod["metadata"].get("labels") or {}
        return (
            (not self.ordinals or ordinal in self.ordinals)
            and self.name in pod["metadata"]["name"]
            and all(labels.get(key) == value for key, value in self.labels.items())
            and all(key in parameters and _fits(parameters[key], want) for key, want in self.parameters.items())
        )


class Rules:
    """A list of rules with the count of pods that each has taken."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._taken = [0] * len(rules)

    def choose(self, ordinal: int, pod: Mapping[str, Any], parameters: Mapping[str, Any]) -> Rule:
        for index, rule in enumerate(self._rules):
            if (not rule.times or self._taken[index] < rule.times) and rule.matches(ordinal, pod, parameters):
                self._taken[index] += 1
                return rule
        return Rule()


def dump_rules(rules: Sequence[Rule]) -> str:
    return json.dumps([asdict(rule) for rule in rules])


def load_rules(text: str) -> list[Rule]:
    return [Rule(**{**entry, "ordinals": tuple(entry.get("ordinals", ()))}) for entry in json.loads(text)]


def _fits(value: Any, want: Any) -> bool:
    if isinstance(want, list):
        low, high = want
        return bool(low <= value <= high)
    return bool(value == want)
