"""Events: the few turns of a study that a person wants to be told, found by comparing two statuses.

So they do not repeat while the status stands still; trials have their own objects and need none.
"""

from collections.abc import Mapping

from tuning_operator.api.status import ConditionType, StudyState
from tuning_operator.core.conditions import is_true
from tuning_operator.core.model import Event
from tuning_operator.core.tally import Tally

_NOTE_MAX = 1024
_OVER = frozenset({StudyState.FINISHING.value, StudyState.SUCCEEDED.value, StudyState.FAILED.value})


def events_of(before: Mapping[str, object], after: Mapping[str, object], tally: Tally) -> tuple[Event, ...]:
    """What happened between two statuses."""
    found: list[Event] = []
    if not _count(before, "total") and _count(after, "total") and not tally.finished:
        found.append(_event("Normal", "Started", _algorithm(after)))
    if not _count(before, "failed") and tally.last_failed is not None and tally.last_failed.result is not None:
        result = tally.last_failed.result
        found.append(
            _event("Warning", "TrialFailed", f"trial {tally.last_failed.number}: {result.reason}: {result.message}")
        )
    if after.get("state") in _OVER and before.get("state") not in _OVER and not is_true(after, ConditionType.FAILED):
        best = after.get("bestValue")
        found.append(
            _event("Normal", "SearchEnded", _message(after) if best is None else f"{_message(after)} Best: {best}")
        )
    for kind, type_, reason in (
        (ConditionType.SUCCEEDED, "Normal", "Succeeded"),
        (ConditionType.FAILED, "Warning", "Failed"),
        (ConditionType.SUSPENDED, "Normal", "Suspended"),
    ):
        if is_true(after, kind) and not is_true(before, kind):
            found.append(_event(type_, reason, _message(after)))
    if is_true(before, ConditionType.SUSPENDED) and not is_true(after, ConditionType.SUSPENDED):
        found.append(_event("Normal", "Resumed", "spec.suspend is not set any more"))
    if after.get("state") == StudyState.STALLED.value and before.get("state") != StudyState.STALLED.value:
        found.append(_event("Warning", "Stalled", _message(after)))
    return tuple(found)


def _event(type_: str, reason: str, note: str) -> Event:
    return Event(type_, reason, note[:_NOTE_MAX])


def _count(status: Mapping[str, object], name: str) -> int:
    counts = status.get("counts")
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if isinstance(value, int) else 0


def _algorithm(status: Mapping[str, object]) -> str:
    algorithm = status.get("algorithm")
    if not isinstance(algorithm, Mapping):
        return "the first trials are created"
    return f"the first trials are created; algorithm {algorithm.get('name')}: {algorithm.get('reason')}"


def _message(status: Mapping[str, object]) -> str:
    conditions = status.get("conditions")
    if isinstance(conditions, list):
        for condition in conditions:
            if isinstance(condition, Mapping) and condition.get("type") == ConditionType.READY.value:
                return f"{condition.get('reason')}: {condition.get('message')}"
    return ""
