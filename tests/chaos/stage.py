"""The real control plane, a node that pretends to run pods, and two operators, each on a line of its own."""

from __future__ import annotations

import dataclasses
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.chaos.record import Record
from tests.chaos.studies import CLAIM
from tests.chaos.wire import Wire
from tests.operator_process import OperatorProcess, install_crds
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode, Rule

Object = dict[str, Any]

NAMES = ("operator-a", "operator-b")


class Replica:
    """One operator, the account by which its writes are known, and its line."""

    def __init__(self, plane: ControlPlane, name: str, *, lease: float) -> None:
        self.name = name
        self.wire = Wire(plane.server)
        access = dataclasses.replace(plane.user_access(name, "system:masters"), server=self.wire.server)
        path = write_kubeconfig(plane.directory / f"{name}.kubeconfig", access)
        self.operator = OperatorProcess(
            plane, name=name, kubeconfig=path, extra=[f"--lease-seconds={lease:g}"], env={"POD_NAME": name}
        )
        self.alive = False
        """Whether it should be."""

    def start(self) -> None:
        self.operator.start()
        self.alive = True

    def kill(self) -> None:
        self.operator.process.kill()
        self.alive = False

    @property
    def leads(self) -> bool:
        return "tuning_operator_leader 1.0" in self._metrics()

    def _metrics(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operator.port}/metrics", timeout=1) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


class Stage:
    """Everything is there and runs when the constructor returns."""

    def __init__(self, *, lease: float, rules: Sequence[Rule], seconds: float = 1.0) -> None:
        self.lease = lease
        self.restarted: Counter[str] = Counter()
        """Components of the control plane that ended by themselves."""
        self.plane = ControlPlane(Options(audit="Responses", apiserver_args=("--storage-media-type=application/json",)))
        try:
            self.record = Record(self.plane.etcd)
            install_crds(self.plane)
            self.namespace = self.plane.new_namespace("chaos")
            a_claim(self.plane, self.namespace, CLAIM)
            self.node = FakeNode(self.plane, seconds=seconds, jitter=seconds, rules=rules)
            self.replicas = [Replica(self.plane, name, lease=lease) for name in NAMES]
            for replica in self.replicas:
                replica.start()
        except BaseException:
            self.plane.stop()
            raise

    def leader(self) -> Replica:
        """Who leads; the first one where nobody does, or says so."""
        deadline = time.monotonic() + self.lease
        while time.monotonic() < deadline:
            for replica in self.replicas:
                if replica.alive and replica.leads:
                    return replica
            time.sleep(0.1)
        return self.replicas[0]

    def standby(self) -> Replica:
        leader = self.leader()
        return next(replica for replica in self.replicas if replica is not leader)

    def listed(self, kind: str, *, labels: str = "") -> list[Object]:
        """What there is; a server that is starting is asked again."""

        def answer() -> tuple[list[Object]]:
            return (self.plane.client.list(kind, self.namespace, labels=labels),)

        return eventually(answer, timeout=60, interval=0.2, what=f"a list of {kind}")[0]

    def heal(self) -> list[str]:
        """Have everything run again; which operators had ended by themselves."""
        for name, component in self.plane.components.items():
            if not component.running:
                self.restarted[name] += 1
                component.start()
        eventually(self.plane.ready, timeout=90, interval=0.1, what="the API server is ready")
        if not self.node.process.running:
            self.restarted["node"] += 1
            self.node.start()
        ended = [each.name for each in self.replicas if each.alive and not each.operator.process.running]
        for replica in self.replicas:
            if not replica.operator.process.running:
                replica.start()
        return ended

    def close(self, *, keep_files: bool = False) -> None:
        self.record.stop()
        for replica in self.replicas:
            replica.operator.process.kill()
            replica.wire.close()
        self.node.process.kill()
        self.plane.stop(keep_files=keep_files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
