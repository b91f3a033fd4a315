"""Pod statuses as a kubelet writes them, for pods that never run."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def running(pod: Object, ip: str) -> Object:
    state = {"running": {"startedAt": now()}}
    return _status(pod, "Running", [state] * len(pod["spec"]["containers"]), ready=True) | {"podIP": ip}


def waiting(pod: Object, reason: str, message: str) -> Object:
    """Scheduled, but the container does not start."""
    state = {"waiting": {"reason": reason, "message": message}}
    return _status(pod, "Pending", [state] * len(pod["spec"]["containers"]))


def ended(pod: Object, *, code: int, reason: str, message: str, started: str) -> Object:
    """All containers have ended; the first one with this code, reason and termination message."""
    first: Object = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
    if message:
        first["message"] = message
    others = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now()}
    count = len(pod["spec"]["containers"])
    states = [{"terminated": first}, *[{"terminated": others}] * (count - 1)]
    return _status(pod, "Failed" if code else "Succeeded", states)


def disruption(reason: str, message: str) -> Object:
    """The condition by which Kubernetes tells preemption, eviction and drain from failure."""
    return _condition("DisruptionTarget", "True") | {"reason": reason, "message": message}


def _status(pod: Object, phase: str, states: Sequence[Object], *, ready: bool = False) -> Object:
    up = "True" if ready else "False"
    started = pod.get("status", {}).get("startTime") or now()
    return {
        "phase": phase,
        "startTime": started,
        "conditions": [
            _condition("PodReadyToStartContainers", up),
            _condition("Initialized", "True"),
            _condition("Ready", up),
            _condition("ContainersReady", up),
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container.get("image", ""),
                "imageID": "",
                "restartCount": 0,
                "ready": ready,
                "started": ready,
                "state": state,
            }
            for container, state in zip(pod["spec"]["containers"], states, strict=True)
        ],
    }


def _condition(kind: str, status: str) -> Object:
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now()}
