"""Conditions: one headline (reason and message) said in the words of kstatus and in ours.

kstatus reads `Reconciling` as in progress, `Stalled` as failed, and `Ready` as current. All six stand there always,
so that a reader never has to know what an absent one means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api.status import ConditionType, StudyState
from tuning_operator.core.times import timestamp

MESSAGE_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Headline:
    """How the study stands, for a person."""

    state: StudyState
    reason: str
    message: str
    stopping: bool = False
    """Suspended, but not everything is stopped yet."""


_TRUE: Final[Mapping[ConditionType, frozenset[StudyState]]] = {
    ConditionType.READY: frozenset({StudyState.SUCCEEDED}),
    ConditionType.RECONCILING: frozenset({StudyState.PENDING, StudyState.RUNNING, StudyState.FINISHING}),
    ConditionType.STALLED: frozenset({StudyState.STALLED, StudyState.FAILED}),
    ConditionType.SUCCEEDED: frozenset({StudyState.SUCCEEDED}),
    ConditionType.FAILED: frozenset({StudyState.FAILED}),
    ConditionType.SUSPENDED: frozenset({StudyState.SUSPENDED}),
}


def conditions(
    headline: Headline, previous: Mapping[str, object], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """The conditions; one whose status is as before keeps its transition time."""
    known = _known(previous)
    result = []
    for kind, states in _TRUE.items():
        true = headline.state in states or (kind is ConditionType.RECONCILING and headline.stopping)
        status = "True" if true else "False"
        before = known.get(kind.value, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        result.append(
            {
                "type": kind.value,
                "status": status,
                "reason": headline.reason,
                "message": headline.message[:MESSAGE_MAX] if true or kind is ConditionType.READY else "",
                "observedGeneration": generation,
                "lastTransitionTime": since if isinstance(since, str) else timestamp(now),
            }
        )
    return result


def is_true(status: Mapping[str, object], kind: ConditionType) -> bool:
    return _known(status).get(kind.value, {}).get("status") == "True"


def _known(status: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    listed = status.get("conditions")
    if not isinstance(listed, list):
        return {}
    return {str(each.get("type")): each for each in listed if isinstance(each, Mapping)}
