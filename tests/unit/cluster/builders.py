"""Raw objects and studies as the tests of the cluster's parts need them."""

from __future__ import annotations

from typing import Any

from tuning_operator.api.study import StudySpec
from tuning_operator.core.model import Study

Object = dict[str, Any]
UID = "study-uid"
MOMENT = "2026-01-31T12:00:00Z"


def a_spec(**changes: Any) -> Object:
    spec: Object = {
        "objectives": [{"metric": "loss", "goal": "Minimize"}],
        "parameters": [{"name": "lr", "float": {"min": 0.001, "max": 0.1}}],
        "limits": {"trials": 10, "parallel": 2},
        "trial": {"template": {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x"}]}}}}},
    }
    return spec | changes


def a_study(**changes: Any) -> Study:
    spec = StudySpec.model_validate(a_spec(**changes))
    return Study(namespace="ns", name="digits", uid=UID, generation=1, spec=spec, created_at=0.0)


def raw_study(*, version: int = 1, uid: str = UID, **status: Any) -> Object:
    metadata = {
        "namespace": "ns", "name": "digits", "uid": uid, "resourceVersion": str(version), "generation": 1,
        "creationTimestamp": MOMENT,
    }  # fmt: skip
    return {"metadata": metadata, "spec": a_spec(), "status": status}


def raw_trial(number: int, *, version: int = 1, owner: str = UID, **status: Any) -> Object:
    metadata = {
        "namespace": "ns", "name": f"digits-{number}", "uid": f"trial-{number}", "resourceVersion": str(version),
        "creationTimestamp": MOMENT, "labels": {"tuning.study/study-uid": UID, "tuning.study/trial": str(number)},
        "ownerReferences": [{"uid": owner, "controller": True}],
    }  # fmt: skip
    spec = {"number": number, "parameters": {"lr": 0.01}, "suggestion": {"by": "TPE", "known": 0}}
    return {"metadata": metadata, "spec": spec, "status": status}


def raw_job(number: int = 0, attempt: int = 0, *, version: int = 1, **changes: Any) -> Object:
    """`deleting`, `condition`, `reason`, `began` and `suspended` (both times) change it."""
    metadata: Object = {
        "namespace": "ns", "name": f"digits-{number}-{attempt}", "uid": f"job-{number}-{attempt}",
        "resourceVersion": str(version), "creationTimestamp": MOMENT, "labels": _labels(number, attempt),
        "ownerReferences": [{"uid": f"trial-{number}", "controller": True}],
    }  # fmt: skip
    if changes.get("deleting"):
        metadata["deletionTimestamp"] = MOMENT
    conditions = []
    if "condition" in changes:
        conditions = [{"type": changes["condition"], "status": "True", "reason": changes.get("reason", "")}]
    spec, status = {}, {"conditions": conditions, "startTime": changes.get("began", MOMENT)}
    if "suspended" in changes:
        held = {"type": "Suspended", "status": "True", "lastTransitionTime": changes["suspended"]}
        spec, status = {"suspend": True}, {"conditions": [*conditions, held]}
    return {"metadata": metadata, "spec": spec, "status": status}


def raw_pod(number: int = 0, attempt: int = 0, *, version: int = 1, **changes: Any) -> Object:
    """`phase`, `state` (of its container), `conditions`, `reason`, `message` and `deleting` change it."""
    metadata: Object = {
        "namespace": "ns", "name": f"digits-{number}-{attempt}-abcde", "uid": f"pod-{number}-{attempt}",
        "resourceVersion": str(version), "creationTimestamp": MOMENT, "labels": _labels(number, attempt),
        "ownerReferences": [{"uid": f"job-{number}-{attempt}", "controller": True}],
    }  # fmt: skip
    if changes.get("deleting"):
        metadata["deletionTimestamp"] = MOMENT
    status: Object = {"phase": changes.get("phase", "Pending"), "conditions": changes.get("conditions", [])}
    status |= {key: changes[key] for key in ("reason", "message", "podIP") if key in changes}
    if "state" in changes:
        status["containerStatuses"] = [{"name": "main", "state": changes["state"]}]
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}, "status": status}


def terminated(code: int, **more: Any) -> Object:
    return {"terminated": {"exitCode": code, "startedAt": MOMENT, "finishedAt": MOMENT, **more}}


def _labels(number: int, attempt: int) -> dict[str, str]:
    return {
        "tuning.study/study-uid": UID,
        "tuning.study/trial": str(number),
        "tuning.study/attempt": str(attempt),
    }
