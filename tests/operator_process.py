"""The operator as a process under test, and the studies it is tested and measured with."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.testcluster.client import eventually
from tests.testcluster.cluster import Cluster
from tests.testcluster.control_plane import free_ports
from tests.testcluster.processes import Process

ROOT = Path(__file__).parents[1]
AGENT = "tuning-operator"
LEASE = "tuning-operator"
"""The name that the operator takes without being told another."""

Object = dict[str, Any]


class OperatorProcess:
    """`python -m tuning_operator.cluster` against a cluster. Start it, kill it, start it again."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        name: str = "operator",
        namespaces: Sequence[str] = (),
        kubeconfig: Path | None = None,
        lease_namespace: str = "default",
        extra: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_ports(1)[0]
        self.log = cluster.directory / f"{name}-{self.port}.log"
        command = [
            sys.executable, "-m", "tuning_operator.cluster", "--trainer-image=registry.example/trainer:test",
            "--operator-image=registry.example/operator:test",
            f"--kubeconfig={kubeconfig or cluster.kubeconfig}", f"--lease-namespace={lease_namespace}",
            f"--metrics-port={self.port}", *[f"--namespace={each}" for each in namespaces], *extra,
        ]  # fmt: skip
        self.process = Process(name, command, log=self.log, cwd=ROOT, env=env)

    def start(self) -> OperatorProcess:
        self.process.start()
        return self

    def stop(self) -> None:
        self.process.stop(grace=15)

    def get(self, path: str) -> str:
        """What one of its own endpoints answers; empty as long as nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def __enter__(self) -> OperatorProcess:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()


def install_crds(cluster: Cluster) -> None:
    """As a user does it; returns once the API server serves them."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        cluster.apply(path.read_text())
    for plural in ("tuningstudies", "tuningtrials"):
        eventually(lambda plural=plural: [cluster.client.list(plural)], timeout=60, what=f"{plural} are served")


def a_study(name: str, *, trials: int, parallel: int, **spec: Any) -> Object:
    """A TPE study over three parameters, for the fake node's bowl."""
    container = {"name": "main", "image": "registry.example/train:1", "command": ["train", "--lr=$(TUNING_PARAM_LR)"]}
    base: Object = {
        "objectives": [{"metric": "loss", "goal": "Minimize"}],
        "parameters": [
            {"name": "lr", "float": {"min": 1e-4, "max": 1e-1, "scale": "Log"}},
            {"name": "momentum", "float": {"min": 0.0, "max": 0.99}},
            {"name": "layers", "int": {"min": 1, "max": 8}},
        ],
        "algorithm": {"name": "TPE", "seed": 1},
        "limits": {"trials": trials, "parallel": parallel},
        "trial": {"template": {"spec": {"template": {"spec": {"containers": [container]}}}}},
    }
    return {
        "apiVersion": "tuning.study/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def wait_for_state(cluster: Cluster, namespace: str, name: str, *states: str, timeout: float = 120) -> Object:
    """The study once its state is one of these."""

    def there() -> Object | None:
        study = cluster.client.get("tuningstudies", name, namespace)
        return study if study.get("status", {}).get("state") in states else None

    return eventually(there, timeout=timeout, interval=0.25, what=f"study {name} is {' or '.join(states)}")


def settle(cluster: Cluster, seconds: float = 3) -> None:
    """Give the caches of a young control plane the time that an old one has had."""
    time.sleep(seconds)
