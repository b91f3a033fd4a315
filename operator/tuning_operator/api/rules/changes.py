"""What a change of a study must meet: what results stand for cannot change once there are some."""

from typing import Any

from tuning_operator.api.rule import Transition
from tuning_operator.api.rules.shared import Value


def _frozen(field: str, *parts: str, states: tuple[str, ...], order: str = "") -> Transition:
    """`field` may change only while no trial is in one of these states."""
    counts = "oldSelf.status.counts"
    free = f"!has(oldSelf.status) || !has({counts}) || {' + '.join(f'{counts}.{state}' for state in states)} == 0"
    same = " && ".join(_same_cel(f"spec.{part}") for part in parts or (field,))
    if order:  # equality of keyed lists does not look at it, the search does
        same += " && " + " == ".join(f"{it}.spec.{field}.map(x, x.{order})" for it in ("self", "oldSelf"))

    def holds(old: Value, new: Value) -> bool:
        seen = old.get("status", {}).get("counts", {})
        if not any(seen.get(state, 0) for state in states):
            return True
        return all(_dig(old["spec"], part) == _dig(new["spec"], part) for part in parts or (field,))

    return Transition(
        "",
        f"{free} || ({same})",
        holds,
        f"{field} cannot change once the study has trials: their results would no longer mean what they say; "
        "write it back as it was, and create a study with another name for the change",
        field=f"spec.{field}",
    )


def _same_cel(path: str) -> str:
    parent, _, last = path.rpartition(".")
    before, after = f"dyn(oldSelf.{parent})", f"dyn(self.{parent})"
    return f"(has({after}.{last}) ? has({before}.{last}) && {after}.{last} == {before}.{last} : !has({before}.{last}))"


def _dig(value: Value, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step, {})
    return value


_CREATED = ("total",)
_STARTED = ("running", "paused", "succeeded", "failed", "stopped")

STUDY_TRANSITIONS: tuple[Transition, ...] = (
    # A study without trials may be corrected in everything.
    _frozen("objectives", states=_CREATED, order="metric"),
    _frozen("constraints", states=_CREATED),
    _frozen("parameters", states=_CREATED, order="name"),
    _frozen("forbidden", states=_CREATED),
    _frozen("enqueue", states=_CREATED),
    _frozen("algorithm", states=_CREATED),
    _frozen("fidelity", states=_CREATED),
    _frozen("scheduler", states=_CREATED),
    _frozen("warmStart", states=_CREATED),
    # What a trial is may be corrected until one has run: a wrong image must not cost the study. `retries` and `timeout`
    # may always change.
    _frozen(
        "trial",
        *(
            f"trial.{part}"
            for part in (
                "trainer",
                "template",
                "successCondition",
                "failureCondition",
                "primaryPod",
                "bind",
                "accelerator",
                "checkpoints",
                "replicates",
                "workers",
            )
        ),
        states=_STARTED,
    ),
    _frozen("metrics", states=_STARTED),
    _frozen("final", states=_STARTED),
)
"""What a change of a study must meet; `limits` and `suspend` may always change."""
