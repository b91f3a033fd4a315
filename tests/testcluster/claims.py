"""A claim that is bound at once: a volume of the node's own directory, made for it by hand."""

from __future__ import annotations

import uuid
from typing import Any

from tests.testcluster.client import eventually
from tests.testcluster.cluster import Cluster

Object = dict[str, Any]


def a_claim(cluster: Cluster, namespace: str, name: str = "checkpoints", *, path: str = "/nowhere") -> str:
    """Creates the claim and its volume; on the fake node nobody looks at the path. The volume outlives the claim."""
    volume = f"{namespace}-{name}-{uuid.uuid4().hex[:6]}"
    common: Object = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}
    cluster.client.create(
        "persistentvolumes",
        {
            "metadata": {"name": volume},
            "spec": common
            | {
                "capacity": {"storage": "1Gi"},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": name},
                "hostPath": {"path": path, "type": "" if path == "/nowhere" else "Directory"},
            },
        },
    )
    body: Object = {
        "metadata": {"name": name},
        "spec": common | {"volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.client.create("persistentvolumeclaims", body, namespace)

    def bound() -> bool:
        claim = cluster.client.get("persistentvolumeclaims", name, namespace)
        return bool(claim.get("status", {}).get("phase") == "Bound")

    eventually(bound, timeout=30, what=f"claim {name} is bound")
    return name
