"""Pods of the tests' own that the restricted pod security level admits."""

from __future__ import annotations

from typing import Any


def restricted(name: str, image: str, **container: Any) -> dict[str, Any]:
    """A pod of one container, which runs once; `container` holds further fields of the container."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    spec = {
        "containers": [{"name": name, "image": image, "securityContext": security, **container}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "restartPolicy": "Never",
    }
    return {"metadata": {"name": name}, "spec": spec}
