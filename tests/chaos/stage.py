"""Where chaos happens: the real control plane, a node, and two operators that can be killed, frozen and cut off.

`ProcessStage` has processes on this machine, each on a line of its own, and a node that pretends to run pods;
tests/chaos/installed.py has what the chart installs, on a real node.
"""

from __future__ import annotations

import dataclasses
import time
import urllib.request
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

from tests.chaos.record import RECORDABLE, Record
from tests.chaos.studies import CLAIM, the_study
from tests.chaos.wire import Wire
from tests.operator_process import LEASE, OperatorProcess, install_crds
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule

Object = dict[str, Any]

NAMES = ("operator-a", "operator-b")


class Replica(ABC):
    """One of the two operators."""

    name: str
    """By which its writes are known."""

    @property
    @abstractmethod
    def leads(self) -> bool: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL."""

    @abstractmethod
    def freeze(self) -> None:
        """SIGSTOP."""

    @abstractmethod
    def thaw(self) -> None: ...

    @abstractmethod
    def cut(self) -> None:
        """End its connections to the API server; new ones can be made."""

    @abstractmethod
    def cut_off(self) -> None:
        """Nothing passes between it and the API server, and nobody is told."""

    @abstractmethod
    def reconnect(self) -> None: ...


class Stage(ABC):
    """Everything is there and runs when the constructor returns."""

    plane: ControlPlane
    record: Record
    namespace: str
    replicas: Sequence[Replica]
    lease: float
    """Seconds."""
    lease_name: str = LEASE

    @abstractmethod
    def study(self, number: int) -> Object:
        """The `number`th one to create."""

    @abstractmethod
    def heal(self) -> list[str]:
        """Have everything run again; which operators had ended by themselves."""

    @abstractmethod
    def operators(self) -> Collection[str]:
        """All who have written as an operator."""

    @abstractmethod
    def close(self, *, keep_files: bool = False) -> None: ...

    def __init__(self) -> None:
        self.restarted: Counter[str] = Counter()
        """Components of the control plane that ended by themselves."""

    def leader(self) -> Replica:
        """Who leads; the first one where nobody does, or says so."""
        deadline = time.monotonic() + self.lease
        while time.monotonic() < deadline:
            for replica in self.replicas:
                if replica.leads:
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

    def heal_plane(self) -> None:
        for name, component in self.plane.components.items():
            if not component.running:
                self.restarted[name] += 1
                component.start()
        eventually(self.plane.ready, timeout=90, interval=0.1, what="the API server is ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ReplicaProcess(Replica):
    """A process of this machine, the account by which its writes are known, and its line."""

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

    @property
    def leads(self) -> bool:
        return self.alive and "tuning_operator_leader 1.0" in self._metrics()

    def start(self) -> None:
        self.operator.start()
        self.alive = True

    def kill(self) -> None:
        self.operator.process.kill()
        self.alive = False

    def freeze(self) -> None:
        self.operator.process.freeze()

    def thaw(self) -> None:
        self.operator.process.thaw()

    def cut(self) -> None:
        self.wire.cut()

    def cut_off(self) -> None:
        self.wire.die()

    def reconnect(self) -> None:
        self.wire.heal()

    def _metrics(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operator.port}/metrics", timeout=1) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


class ProcessStage(Stage):
    def __init__(self, *, lease: float, rules: Sequence[Rule], seconds: float = 1.0) -> None:
        super().__init__()
        self.lease = lease
        self.plane = ControlPlane(RECORDABLE)
        try:
            self.record = Record(self.plane.etcd)
            install_crds(self.plane)
            self.namespace = self.plane.new_namespace("chaos")
            a_claim(self.plane, self.namespace, CLAIM)
            self.node = FakeNode(self.plane, seconds=seconds, jitter=seconds, rules=rules)
            self.replicas = self._processes = [ReplicaProcess(self.plane, name, lease=lease) for name in NAMES]
            for replica in self._processes:
                replica.start()
        except BaseException:
            self.plane.stop()
            raise

    def study(self, number: int) -> Object:
        return the_study(number)

    def operators(self) -> Collection[str]:
        return NAMES

    def heal(self) -> list[str]:
        self.heal_plane()
        if not self.node.process.running:
            self.restarted["node"] += 1
            self.node.start()
        ended = [each.name for each in self._processes if each.alive and not each.operator.process.running]
        for replica in self._processes:
            if not replica.operator.process.running:
                replica.start()
        return ended

    def close(self, *, keep_files: bool = False) -> None:
        self.record.stop()
        for replica in self._processes:
            replica.operator.process.kill()
            replica.wire.close()
        self.node.process.kill()
        self.plane.stop(keep_files=keep_files)
