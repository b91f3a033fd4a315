"""What a change of a trial must meet, whoever makes it: what is recorded stands, as results are compared with it.

Each rule is held by the API server as CEL against every write, so that not even an operator with a fault can break it.
"""

from typing import Any

from tuning_operator.api.rule import Transition

Value = dict[str, Any]

_WRITTEN_ONCE = ("values", "infeasible")
"""Fields of a rung that stand as they are from the moment at which there is a rung."""


def _rungs(trial: Value) -> dict[int, Value]:
    return {rung["budget"]: rung for rung in trial.get("status", {}).get("rungs", [])}


def _rungs_stand(old: Value, new: Value) -> bool:
    now = _rungs(new)
    return all(budget in now and _only_promoted(before, now[budget]) for budget, before in _rungs(old).items())


def _only_promoted(old: Value, new: Value) -> bool:
    same = all(old.get(field) == new.get(field) for field in _WRITTEN_ONCE)
    return same and (bool(new.get("promoted")) or not old.get("promoted"))


def _replicates_stand(old: Value, new: Value) -> bool:
    before, now = (each.get("status", {}).get("replicates", []) for each in (old, new))
    return all(replicate in now for replicate in before) and len(before) <= len(now)


def _result(trial: Value) -> Any:
    return trial.get("status", {}).get("result")


_SAME_RUNG = (
    "now.budget == was.budget && has(now.values) == has(was.values) && (!has(was.values) || now.values == was.values)"
    " && now.infeasible == was.infeasible && (now.promoted || !was.promoted)"
)

TRIAL_TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        "spec",
        "self == oldSelf",
        lambda old, new: bool(old == new),
        "a trial's spec never changes: results stand for it; create a study with another name for other parameters",
    ),
    Transition(
        "",
        "!has(oldSelf.status) || !has(oldSelf.status.result) || "
        "(has(self.status) && has(self.status.result) && self.status.result == oldSelf.status.result)",
        lambda old, new: _result(old) is None or _result(old) == _result(new),
        "a recorded result never changes or disappears",
        field="status.result",
    ),
    Transition(
        "",
        "!has(oldSelf.status) || !has(oldSelf.status.rungs) || oldSelf.status.rungs.size() == 0 || "
        "(has(self.status) && has(self.status.rungs) && oldSelf.status.rungs.all(was, "
        f"self.status.rungs.exists(now, {_SAME_RUNG})))",
        _rungs_stand,
        "a recorded rung never changes or disappears, except that a trial may be promoted from it",
        field="status.rungs",
    ),
    Transition(
        "",
        "!has(oldSelf.status) || !has(oldSelf.status.replicates) || oldSelf.status.replicates.size() == 0 || "
        "(has(self.status) && has(self.status.replicates) && "
        "oldSelf.status.replicates.size() <= self.status.replicates.size() && "
        "oldSelf.status.replicates.all(was, was in self.status.replicates))",
        _replicates_stand,
        "a recorded replicate never changes or disappears",
        field="status.replicates",
    ),
)
