"""What is kept of a watched object: a few plain values, decoded once.

Raw pods and Jobs are ten times larger than what is decided from (managed fields, volumes, tolerations), so they are not
kept. Pure; decoding runs in the watch's thread. An object that is not ours (no labels of ours, no number in them)
decodes to None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tuning_operator.api import names
from tuning_operator.api.kinds import listed
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cluster.client import JOBS, Kind
from tuning_operator.cluster.devices import devices_of
from tuning_operator.core.model import Replicate, Result, Rung, Trial
from tuning_operator.metrics.sidecar import last_words
from tuning_operator.metrics.termination import report_of
from tuning_operator.search.types import Suggestion
from tuning_trial.report import Report

Object = Mapping[str, Any]

INDEX_LABEL: Final = "batch.kubernetes.io/job-completion-index"
_NORMAL_WAITING: Final = {"", "ContainerCreating", "PodInitializing"}
_MEANINGLESS: Final = {"Error", "Completed"}
_LOST_REASONS: Final = {"NodeLost", "NodeShutdown", "Shutdown", "Terminated", "Preempting", "UnexpectedAdmissionError"}
_MESSAGE_MAX: Final = 1000
SIDECAR: Final = "tuning-sidecar"
"""The init container that leaves a report for a trial that leaves none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which object this is, and which version of it."""

    namespace: str
    name: str
    uid: str
    version: int
    study_uid: str = ""
    owner_uid: str = ""


@dataclass(frozen=True, slots=True)
class StudySeen:
    identity: Identity
    generation: int
    created_at: float
    deleting: bool
    spec: Object
    status: Object
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialSeen:
    identity: Identity
    trial: Trial


@dataclass(frozen=True, slots=True)
class JobSeen:
    identity: Identity
    trial: int
    attempt: int
    created_at: float
    deleting: bool = False
    suspended: bool = False
    suspended_at: float | None = None
    began_at: float | None = None
    """When it was last let run; its pods are younger. A Job that is suspended or only just created has no such time."""
    queue: str = ""
    """Of Kueue."""
    ended: bool = False
    failed: bool = False
    ended_at: float | None = None
    reason: str = ""
    message: str = ""
    workers: int = 1
    """Pods that train together."""
    kind: Kind = JOBS
    raw: Object | None = field(default=None, compare=False)
    """Of another kind than Job: the object itself, from which its study says whether it has ended (`foreign.py`)."""

    @property
    def foreign(self) -> bool:
        return self.kind != JOBS


@dataclass(frozen=True, slots=True)
class PodSeen:
    identity: Identity
    trial: int
    attempt: int
    created_at: float
    index: int = 0
    """Which of the pods that train together; the first one reports."""
    deleting: bool = False
    running: bool = False
    ended: bool = False
    gone: bool = False
    """The object is no more; these are its last words."""
    address: str = ""
    container: str = ""
    """Name of the first one: the trial."""
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    disrupted: bool = False
    report: Report | None = None
    looked_at: float | None = None
    """When the values of the report were seen, where a sidecar looked at them."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Where its trial is no Job: its study says by them whether it is the pod that reports."""
    devices: tuple[tuple[str, int], ...] = ()
    """Extended resources that it holds, by name; claims of devices (DRA) under the name `CLAIMS`."""

    @property
    def foreign(self) -> bool:
        return bool(self.labels)


Seen = StudySeen | TrialSeen | JobSeen | PodSeen


def study_seen(raw: Object) -> StudySeen:
    metadata = raw["metadata"]
    return StudySeen(
        identity=_identity(metadata),
        generation=int(metadata.get("generation") or 0),
        created_at=unix(metadata.get("creationTimestamp")) or 0.0,
        deleting="deletionTimestamp" in metadata,
        spec=raw.get("spec") or {},
        status=raw.get("status") or {},
        labels=metadata.get("labels") or {},
    )


def trial_seen(raw: Object) -> TrialSeen | None:
    """None for an object that our code did not write: the schema holds, but the labels do not."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    identity = _identity(metadata)
    if not identity.study_uid or not isinstance(spec.get("number"), int):
        return None
    suggestion = spec.get("suggestion") or {}
    state = TrialState(status.get("state") or TrialState.PENDING)
    if state is TrialState.PAUSED and not status.get("rungs"):
        state = TrialState.PENDING  # somebody edited it: no trial pauses before its first rung
    trial = Trial(
        number=spec["number"],
        role=Role(spec.get("role") or Role.SEARCH),
        suggestion=Suggestion(
            parameters=spec.get("parameters") or {},
            by=str(suggestion.get("by", "")),
            known=int(suggestion.get("known") or 0),
            reason=str(suggestion.get("reason", "")),
            generation=suggestion.get("generation"),
            parent=suggestion.get("parent"),
            expected=suggestion.get("expected"),
        ),
        created_at=unix(metadata.get("creationTimestamp")) or 0.0,
        attempt=int(status.get("attempt") or 0),
        retries=int(status.get("retries") or 0),
        disruptions=int(status.get("disruptions") or 0),
        accelerator_seconds=float(status.get("acceleratorSeconds") or 0.0),
        rungs=_rungs(status.get("rungs") or ()),
        replicates=tuple(
            Replicate(_numbers_of(raw.get("values")), _numbers_of(raw.get("metrics")))
            for raw in status.get("replicates") or ()
        ),
        started_at=unix(status.get("startTime")),
        ended_at=unix(status.get("completionTime")),
        result=_result(status.get("result")),
        recorded_state=state,
    )
    return TrialSeen(identity, trial)


def job_seen(raw: Object) -> JobSeen | None:
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    numbers = _numbers(metadata)
    if numbers is None or _others_child(metadata):
        return None
    conditions = {c.get("type"): c for c in status.get("conditions") or () if c.get("status") == "True"}
    failed = conditions.get("Failed") or conditions.get("FailureTarget")  # the latter while its pods still end
    held = conditions.get("Suspended") or {}
    return JobSeen(
        identity=_identity(metadata),
        trial=numbers[0],
        attempt=numbers[1],
        created_at=unix(metadata.get("creationTimestamp")) or 0.0,
        deleting="deletionTimestamp" in metadata,
        suspended=bool(spec.get("suspend")),
        suspended_at=unix(held.get("lastTransitionTime")),
        began_at=unix(status.get("startTime")),
        queue=str((metadata.get("labels") or {}).get(names.LABEL_QUEUE) or ""),
        ended="Failed" in conditions or "Complete" in conditions,
        failed=failed is not None,
        ended_at=unix((failed or conditions.get("Complete") or {}).get("lastTransitionTime")),
        reason=str((failed or {}).get("reason") or ""),
        message=str((failed or {}).get("message") or "")[:_MESSAGE_MAX],
        workers=int(spec.get("completions") or 1),
    )


def object_seen(raw: Object, *, kind: Kind, suspend: Sequence[str]) -> JobSeen | None:
    """An object of another kind that is a trial; `suspend`: where below its spec it can be suspended."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    numbers = _numbers(metadata)
    if numbers is None or _others_child(metadata):
        return None
    held: Any = raw.get("spec") or {}
    for part in suspend:
        held = held.get(part) if isinstance(held, dict) else None
    since = [c for c in listed(status.get("conditions")) if c.get("type") == "Suspended" and c.get("status") == "True"]
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return JobSeen(
        identity=_identity(metadata),
        trial=numbers[0],
        attempt=numbers[1],
        created_at=unix(metadata.get("creationTimestamp")) or 0.0,
        deleting="deletionTimestamp" in metadata,
        suspended=held is True,
        suspended_at=unix(since[0].get("lastTransitionTime")) if since else None,
        queue=str((metadata.get("labels") or {}).get(names.LABEL_QUEUE) or ""),
        kind=kind,
        raw={**raw, "metadata": kept},
    )


def pod_seen(raw: Object) -> PodSeen | None:
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    numbers = _numbers(metadata)
    if numbers is None:
        return None
    phase = status.get("phase") or "Pending"
    states = _states(spec, status)
    first = states[0] if states else {}
    begun = first.get("running") or first.get("terminated") or {}
    common: dict[str, Any] = {
        "identity": _identity(metadata),
        "trial": numbers[0],
        "attempt": numbers[1],
        "created_at": unix(metadata.get("creationTimestamp")) or 0.0,
        "index": int((metadata.get("labels") or {}).get(INDEX_LABEL) or 0),
        "deleting": "deletionTimestamp" in metadata,
        "started_at": unix(begun.get("startedAt")),
        "container": next((str(each.get("name") or "") for each in spec.get("containers") or ()), ""),
        "devices": devices_of(spec),
        "labels": _foreign_labels(metadata),
    }
    if phase in ("Succeeded", "Failed"):
        return PodSeen(**common, **_ended(status, states, failed=phase == "Failed"))
    if phase == "Running":
        return PodSeen(
            **common, running=True, address=str(status.get("podIP") or ""), disrupted=_disruption(status) is not None
        )
    reason, message = _waiting(status, states)
    return PodSeen(**common, reason=reason, message=message)


def unix(text: Any) -> float | None:
    """Unix seconds of an RFC 3339 time."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _identity(metadata: Object) -> Identity:
    owners = [owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return Identity(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata.get("resourceVersion") or 0),
        study_uid=(metadata.get("labels") or {}).get(names.LABEL_STUDY_UID, ""),
        owner_uid=owners[0]["uid"] if owners else "",
    )


def _numbers(metadata: Object) -> tuple[int, int] | None:
    labels = metadata.get("labels") or {}
    trial, attempt = labels.get(names.LABEL_TRIAL, ""), labels.get(names.LABEL_ATTEMPT, "")
    if not labels.get(names.LABEL_STUDY_UID) or not trial.isdecimal() or not attempt.isdecimal():
        return None
    return int(trial), int(attempt)


def _others_child(metadata: Object) -> bool:
    """Controllers give their labels, ours among them, to what they make: a trial's object is owned by a trial."""
    owners = [owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return any(owner.get("kind", names.TRIAL_KIND) != names.TRIAL_KIND for owner in owners)


def _foreign_labels(metadata: Object) -> Mapping[str, str]:
    labels = metadata.get("labels") or {}
    return {key: str(value) for key, value in labels.items()} if names.LABEL_KIND in labels else {}


def _result(raw: Object | None) -> Result | None:
    if raw is None:
        return None
    return Result(
        state=TrialState(raw["state"]),
        reason=str(raw.get("reason", "")),
        message=str(raw.get("message", "")),
        values=_numbers_of(raw.get("values")),
        metrics=_numbers_of(raw.get("metrics")),
        errors=_numbers_of(raw.get("errors")),
        infeasible=bool(raw.get("infeasible")),
        step=raw.get("step"),
        artifacts=dict(raw.get("artifacts") or {}),
        last_scrape_age=raw.get("lastScrapeAgeSeconds"),
    )


def _rungs(raw: Sequence[Object]) -> tuple[Rung, ...]:
    """By budget, as the rest of the operator relies on, whatever order somebody may have left them in."""
    rungs = [
        Rung(
            budget=int(each["budget"]),
            values=_numbers_of(each.get("values")),
            infeasible=bool(each.get("infeasible")),
            promoted=bool(each.get("promoted")),
        )
        for each in raw
    ]
    return tuple(sorted(rungs, key=lambda rung: rung.budget))


def _numbers_of(raw: Object | None) -> dict[str, float]:
    return {name: float(value) for name, value in (raw or {}).items()}


def _states(spec: Object, status: Object) -> list[Object]:
    """States of the containers in the order of the spec: the first one is the trial."""
    known = {entry.get("name"): entry.get("state") or {} for entry in status.get("containerStatuses") or ()}
    return [known.get(container.get("name"), {}) for container in spec.get("containers") or ()]


def _ended(status: Object, states: Sequence[Object], *, failed: bool) -> dict[str, Any]:
    ends = [state["terminated"] for state in states if state.get("terminated")]
    first: Object = ends[0] if ends else {}
    # The trial's own code counts; where it went well or never ran, the failure is another container's.
    blamed = next((end for end in [first, *ends] if end.get("exitCode")), first) if failed else first
    words = str(first.get("message") or "")
    report, looked_at = report_of(words), None
    if report is None:
        report, looked_at = last_words(_left_by(status, SIDECAR))
    reason = str(status.get("reason") or "") or str(blamed.get("reason") or "")
    message = str(status.get("message") or "") or ("" if report else words)
    disruption = _disruption(status)
    lost = reason in _LOST_REASONS or (reason == "Evicted" and "usage exceeds" not in message)
    if disruption is not None and not message:
        message = str(disruption.get("message") or "")
    return {
        "ended": True,
        "ended_at": unix(first.get("finishedAt")) or _last_change(status),
        "exit_code": blamed.get("exitCode") if ends else (None if failed else 0),
        "reason": "" if reason in _MEANINGLESS else reason,
        "message": message[-_MESSAGE_MAX:],
        "disrupted": failed and (disruption is not None or lost),
        "report": report,
        "looked_at": looked_at,
    }


def _left_by(status: Object, name: str) -> str:
    """The last termination message of an init container."""
    for entry in status.get("initContainerStatuses") or ():
        if entry.get("name") == name:
            states = (entry.get("state") or {}, entry.get("lastState") or {})
            ends = [state["terminated"] for state in states if state.get("terminated")]
            return next((str(end["message"]) for end in ends if end.get("message")), "")
    return ""


def _waiting(status: Object, states: Sequence[Object]) -> tuple[str, str]:
    """Why nothing runs yet, if it is more than that starting takes its time."""
    starting = [entry.get("state") or {} for entry in status.get("initContainerStatuses") or ()]
    for state in [*starting, *states]:
        waiting = state.get("waiting") or {}
        if waiting.get("reason", "") not in _NORMAL_WAITING:
            return str(waiting["reason"]), str(waiting.get("message") or "")[:_MESSAGE_MAX]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("reason") or "Unschedulable"), str(condition.get("message") or "")[:_MESSAGE_MAX]
    return "", ""


def _last_change(status: Object) -> float | None:
    """The pod's own word on when something last happened to it; an evicted pod has no container that tells."""
    times = [unix(condition.get("lastTransitionTime")) for condition in status.get("conditions") or ()]
    return max((time for time in times if time is not None), default=unix(status.get("startTime")))


def _disruption(status: Object) -> Object | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            found: Object = condition
            return found
    return None
