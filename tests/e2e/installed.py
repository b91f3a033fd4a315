"""The product as the chart has installed it: which of its pods works."""

from __future__ import annotations

from typing import Any

from tests.testcluster.realnode import RealCluster

LEASE = "tuning-tuning-operator"

Object = dict[str, Any]


def replicas(cluster: RealCluster, system: str) -> list[Object]:
    """Pods of the operator that are not on their way out."""
    return [pod for pod in cluster.client.list("pods", system) if "deletionTimestamp" not in pod["metadata"]]


def leader(cluster: RealCluster, system: str) -> Object | None:
    """The pod that holds the lease; None where nobody does, or one that is gone."""
    lease = cluster.client.find("leases", LEASE, system) or {}
    holder = str(lease.get("spec", {}).get("holderIdentity") or "").rpartition("_")[0]
    return next((pod for pod in replicas(cluster, system) if pod["metadata"]["name"] == holder), None)
