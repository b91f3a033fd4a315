"""The product as the chart installs it, with two replicas: one of its pods works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.helm import CHART, helm, settings
from tests.testcluster.realnode import RealCluster

ROOT = Path(__file__).resolve().parents[2]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
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


def product_image(cluster: RealCluster, target: str) -> str:
    return cluster.image(f"tuning-{target}", dockerfile=ROOT / "Dockerfile", context=ROOT, target=target)


def install(cluster: RealCluster, operator_image: str, trainer_image: str) -> str:
    """Into a namespace of its own, whose name it returns."""
    name = cluster.new_namespace("system", labels=RESTRICTED)
    chosen: dict[str, object] = {"replicas": 2}
    for value, reference in (("image", operator_image), ("trainer__image", trainer_image)):
        repository, _, tag = reference.rpartition(":")
        chosen |= {f"{value}__repository": repository, f"{value}__tag": tag}
    helm(cluster, "install", "tuning", str(CHART), "-n", name, "--wait", "--timeout=90s", *settings(**chosen))
    return name


def uninstall(cluster: RealCluster, system: str) -> None:
    helm(cluster, "uninstall", "tuning", "-n", system)
