"""The fake node as a process that a test starts and stops."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.testcluster.client import ApiError
from tests.testcluster.cluster import Cluster
from tests.testcluster.fakenode.rules import Rule, dump_rules
from tests.testcluster.processes import Process

ROOT = Path(__file__).parents[3]


class FakeNode:
    """Joins the cluster in the constructor; stop removes the node again. One at a time, or pods spread over all."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        seconds: float = 1,
        jitter: float = 0,
        stop_seconds: float = 0,
        metric: str = "loss",
        objective: str = "bowl",
        style: str = "report",
        step: int = 1,
        seed: int = 0,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.name = f"fake-{uuid.uuid4().hex[:6]}"
        self._cluster = cluster
        options = {
            "kubeconfig": cluster.kubeconfig, "node": self.name, "seconds": seconds, "jitter": jitter,
            "stop-seconds": stop_seconds, "metric": metric, "objective": objective, "style": style, "step": step,
            "seed": seed, "rules": dump_rules(rules),
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "tests.testcluster.fakenode", *words]
        self.process = Process(self.name, command, log=cluster.directory / f"{self.name}.log", cwd=ROOT)
        self.start()

    def start(self) -> None:
        """Start the agent, also after a kill: it takes over the pods that are there."""
        self.process.start()
        self.process.wait_until(self._joined, timeout=30)

    def stop(self) -> None:
        """End the agent and take the node and what is bound to it out of the cluster."""
        self.process.stop(grace=2)
        client = self._cluster.client
        for pod in client.list("pods", fields=f"spec.nodeName={self.name}"):
            where = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            _ignore_missing(self._cluster, where)
        _ignore_missing(self._cluster, f"/api/v1/nodes/{self.name}")

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _joined(self) -> bool:
        node = self._cluster.client.find("nodes", self.name)
        return node is not None and not node["spec"].get("taints") and bool(node["status"].get("allocatable"))


def _ignore_missing(cluster: Cluster, path: str) -> None:
    try:
        cluster.client.request("DELETE", path, {"gracePeriodSeconds": 0})
    except ApiError as error:
        if error.status not in (404, 409):
            raise
