"""What the chart installs, as a stage: two pods of the operator on a real node, and trials that are pods as well.

A pod is killed and frozen by its process. The kubelet starts its container again, later and later the more often that
happens; one that waits for that is deleted, as a person does it, and another pod takes its place. Lines are cut by
rules of the firewall, on the bridge of the test's own node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.record import Record
from tests.chaos.stage import Replica, Stage
from tests.chaos.studies import CLAIM, the_study
from tests.e2e.installed import LEASE, RESTRICTED
from tests.testcluster.claims import a_claim
from tests.testcluster.client import ApiError, eventually
from tests.testcluster.realnode import RealCluster

Object = dict[str, Any]

LEASE_SECONDS = 15.0
"""The operator's own; the chart has no setting for it."""
TABLE = "tuning_chaos"
TRIAL = textwrap.dedent("""
    import json, os, sys, time
    import tuning_trial

    p = tuning_trial.parameters(lr=0.01, momentum=0.9, layers=1, optimizer="sgd")
    if os.environ.get("RANK", "0") != "0":
        sys.exit()
    kept = tuning_trial.checkpoint_dir() / "state.json"
    before = json.loads(kept.read_text()) if kept.exists() else {"step": 0}
    if before["step"]:
        tuning_trial.restore(before["reports"])
    for step in range(before["step"] + 1, (tuning_trial.budget() or 1) + 1):
        time.sleep(0.5)
        tuning_trial.report(step, loss=abs(p["lr"] - 0.01) + p["layers"] / 10 + 1 / step, size=p["layers"])
        kept.with_suffix(".new").write_text(json.dumps({"step": step, "reports": tuning_trial.state()}))
        kept.with_suffix(".new").rename(kept)
        if tuning_trial.should_stop():
            sys.exit(tuning_trial.exit_codes.STOPPED)
    tuning_trial.finish()
""")
"""Trains for half a second a step, and goes on where the attempt before it was stopped."""


class ReplicaPod(Replica):
    """One of the operator's two pods; `take` says which one it is now."""

    def __init__(self, cluster: RealCluster, system: str) -> None:
        self._cluster, self._system = cluster, system
        self.name = ""
        self.pid = 0
        self.killed = False

    def take(self, name: str, pid: int) -> None:
        self.name, self.pid, self.killed = name, pid, False

    @property
    def running(self) -> bool:
        return self.pid == process_of(self.name)

    @property
    def leads(self) -> bool:
        try:
            lease = self._cluster.client.find("leases", LEASE, self._system) or {}
        except (ApiError, OSError):
            return False
        holder = str(lease.get("spec", {}).get("holderIdentity") or "")
        return self.running and holder.rpartition("_")[0] == self.name

    def start(self) -> None:
        """The kubelet does, or `heal` sees to it."""

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.killed = True

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def cut(self) -> None:
        self._firewall("reject with tcp reset")
        time.sleep(0.5)
        self.reconnect()

    def cut_off(self) -> None:
        self._firewall("drop")

    def reconnect(self) -> None:
        _nft("delete", "table", "ip", TABLE)

    def _firewall(self, verdict: str) -> None:
        address = self._cluster.client.get("pods", self.name, self._system)["status"]["podIP"]
        port = urlsplit(self._cluster.server).port
        _nft(f"add table ip {TABLE}")
        for hook, packets in (
            ("input", f"ip saddr {address} tcp dport {port}"),
            ("output", f"ip daddr {address} tcp sport {port}"),
        ):
            _nft(f"add chain ip {TABLE} {hook} {{ type filter hook {hook} priority 0; }}")
            _nft(f"add rule ip {TABLE} {hook} {packets} {verdict}")


class InstalledStage(Stage):
    """`system` is the namespace of the release, `image` that of the trials: any that has `tuning_trial`."""

    lease = LEASE_SECONDS
    lease_name = LEASE

    def __init__(self, cluster: RealCluster, *, system: str, image: str, checkpoints: Path) -> None:
        super().__init__()
        self.plane = self._cluster = cluster
        self._system, self._image = system, image
        self._operators: set[str] = set()
        self.record = Record(cluster.etcd, from_now=True)
        self.namespace = cluster.new_namespace("chaos", labels=RESTRICTED)
        a_claim(cluster, self.namespace, CLAIM, path=str(checkpoints))
        self.replicas = self._pods = [ReplicaPod(cluster, system) for _ in range(2)]
        self._await_two()

    def study(self, number: int) -> Object:
        study = the_study(number)
        secured = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        main = {"name": "main", "image": self._image, "command": ["python", "-c", TRIAL], "securityContext": secured}
        study["spec"]["trial"] |= {
            "accelerator": {"count": 0},
            "template": {"spec": {"template": {"spec": {"containers": [main]}}}},
        }
        return study

    def operators(self) -> Collection[str]:
        return self._operators

    def heal(self) -> list[str]:
        self.heal_plane()
        ended = [each.name for each in self._pods if not each.killed and not each.running]
        self._await_two()
        return ended

    def close(self, *, keep_files: bool = False) -> None:
        self.record.stop()
        subprocess.run(["nft", "delete", "table", "ip", TABLE], capture_output=True, check=False)
        if self.plane.ready():
            self.plane.client.delete("namespaces", self.namespace)

    def _await_two(self) -> None:
        found = eventually(self._two, timeout=90, interval=0.2, what="two pods of the operator that run")
        for replica in self._pods:
            if replica.name in found:
                replica.take(replica.name, found.pop(replica.name))
            else:
                replica.name = ""
        for replica in self._pods:
            if not replica.name:
                replica.take(*found.popitem())

    def _two(self) -> dict[str, int] | None:
        """The processes by their pods, once there are two."""
        running: dict[str, int] = {}
        for pod in self.plane.client.list("pods", self._system):
            name = pod["metadata"]["name"]
            self._operators.add(name)
            waits = [
                status.get("state", {}).get("waiting", {}) for status in pod["status"].get("containerStatuses", ())
            ]
            if any(each.get("reason") == "CrashLoopBackOff" for each in waits):
                path = f"/api/v1/namespaces/{self._system}/pods/{name}"
                self.plane.client.request("DELETE", path, {"gracePeriodSeconds": 0})
            elif "deletionTimestamp" not in pod["metadata"] and (pid := process_of(name)):
                running[name] = pid
        return running if len(running) == 2 else None


def process_of(pod: str) -> int:
    """The operator's process in a pod; 0 where there is none."""
    word = f"POD_NAME={pod}".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if word in (directory / "environ").read_bytes().split(b"\0"):
                return int(directory.name)
        except OSError:
            pass
    return 0


def _nft(*words: str) -> None:
    subprocess.run(["nft", *words], check=True, capture_output=True)
