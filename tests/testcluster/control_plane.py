"""A whole control plane of our own: etcd, API server, controller-manager and scheduler, the real ones.

Every instance has its own ports, certificates and directory, so any number of them run side by side.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.testcluster import programs
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.client import Access, ApiError, Client, Object
from tests.testcluster.cluster import Cluster
from tests.testcluster.pki import Authority
from tests.testcluster.processes import Process

LOOPBACK = "127.0.0.1"
PORTS = range(20000, 30000)  # below the ports of outgoing connections and of NodePort services


@dataclass(frozen=True)
class Options:
    """How a control plane is set up. The defaults are the conditions of the benchmarks; state others with a result."""

    address: str = LOOPBACK
    service_network: str = "10.0.0.0/24"
    service_address: str = "10.0.0.1"
    audit: str = "Metadata"
    """Or Request: with the bodies that clients sent; or Responses: writes also with the answers."""
    controller_qps: int = 200
    controller_burst: int = 300
    job_syncs: int = 20
    apiserver_args: tuple[str, ...] = ()
    controller_args: tuple[str, ...] = ()
    scheduler_args: tuple[str, ...] = ()


class ControlPlane(Cluster):
    """Starts in the constructor, in a few seconds; stop it, or use it as a context manager."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        programs.KUBE.path()
        directory = Path(tempfile.mkdtemp(prefix="testcluster-"))
        self.audit_log = directory / "audit.log"
        self.ca = Authority(directory)
        self.components: dict[str, Process] = {}
        self._port, etcd, peer = free_ports(3, self.options.address)
        admin = self.ca.client("admin", user="admin", groups=["system:masters"])
        server = f"https://{self.options.address}:{self._port}"
        super().__init__(Access(server, self.ca.pair.cert, admin.cert, admin.key), directory)
        self.etcd = f"http://{LOOPBACK}:{etcd}"
        self._define("etcd", *self._etcd_args(peer))
        self._define("kube-apiserver", *self._apiserver_args())
        self._define("kube-controller-manager", *self._controller_args())
        self._define("kube-scheduler", *self._scheduler_args())
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def component(self, name: str) -> Process:
        """`etcd`, `kube-apiserver`, `kube-controller-manager` or `kube-scheduler`: to kill, freeze and start again."""
        return self.components[name]

    def restart(self, name: str) -> None:
        """End a component at once and start it again; returns when the API server answers."""
        self.component(name).kill()
        self.component(name).start()
        self.wait_ready()

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until the API server says that it is ready."""
        self.component("kube-apiserver").wait_until(self.ready, timeout=timeout)

    def user_access(self, user: str, *groups: str) -> Access:
        pair = self.ca.client(self._file(user).stem, user=user, groups=groups)
        return Access(self.server, self.ca.pair.cert, pair.cert, pair.key)

    def audit_events(self) -> Iterator[Object]:
        """Everything that the API server has been asked so far, one event for each finished request."""
        with self.audit_log.open() as log:
            for line in log:
                if line.endswith("\n"):
                    yield json.loads(line)

    def log_tails(self, lines: int = 40) -> str:
        return "\n".join(process.tail(lines) for process in self.components.values())

    def stop(self, *, keep_files: bool = False) -> None:
        """End all components, clients first, and remove the files."""
        for process in reversed(self.components.values()):
            process.stop(grace=2)
        if not keep_files:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        etcd = self.component("etcd")
        etcd.start()
        etcd.wait_until(lambda: _answers(self.etcd), interval=0.02)
        self.component("kube-apiserver").start()
        self.wait_ready()
        self.component("kube-controller-manager").start()
        self.component("kube-scheduler").start()
        manager = self.component("kube-controller-manager")
        manager.wait_until(lambda: self.client.find("serviceaccounts", "default", "default") is not None)

    def ready(self) -> bool:
        """Whether the API server says that it is."""
        # A client of its own: a pooled connection to a server that was killed would be a lie.
        try:
            Client(self.access, timeout=5).request("GET", "/readyz")
        except ApiError:
            return False
        return True

    def _define(self, name: str, *args: str) -> None:
        log = self.directory / f"{name}.log"
        self.components[name] = Process(name, [programs.component(name), *args], log=log, cwd=self.directory)

    def _etcd_args(self, peer: int) -> tuple[str, ...]:
        return (
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-url={self.etcd}",
            f"--listen-peer-url=http://{LOOPBACK}:{peer}",
        )

    def _apiserver_args(self) -> tuple[str, ...]:
        options, ca = self.options, self.ca
        names = [options.address, LOOPBACK, options.service_address, "localhost", "kubernetes.default.svc"]
        serving = ca.server("apiserver", names=names)
        kubelet = ca.client("apiserver-kubelet", user="apiserver-kubelet", groups=["system:masters"])
        tokens = ca.signing_key("service-account")
        policy = self.directory / "audit-policy.yaml"
        policy.write_text(
            json.dumps(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    "omitStages": ["RequestReceived", "ResponseStarted"],
                    "rules": _audit_rules(options.audit),
                }
            )
        )
        # The kubernetes Service can have no endpoint on loopback; without a real node nobody needs one.
        reconciler = "none" if options.address.startswith("127.") else "lease"
        return (
            f"--etcd-servers={self.etcd}",
            f"--bind-address={options.address}",
            f"--advertise-address={options.address}",
            f"--endpoint-reconciler-type={reconciler}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={serving.cert}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={ca.pair.cert}",
            f"--kubelet-client-certificate={kubelet.cert}",
            f"--kubelet-client-key={kubelet.key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-cluster-ip-range={options.service_network}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={tokens.cert}",
            f"--service-account-signing-key-file={tokens.key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=100000",
            *options.apiserver_args,
        )

    def _controller_args(self) -> tuple[str, ...]:
        options, ca = self.options, self.ca
        return (
            f"--kubeconfig={self._component_kubeconfig('kube-controller-manager')}",
            "--controllers=*",
            "--leader-elect=false",
            "--secure-port=0",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={ca.directory / 'service-account.key'}",
            f"--root-ca-file={ca.pair.cert}",
            f"--cluster-signing-cert-file={ca.pair.cert}",
            f"--cluster-signing-key-file={ca.pair.key}",
            f"--kube-api-qps={options.controller_qps}",
            f"--kube-api-burst={options.controller_burst}",
            f"--concurrent-job-syncs={options.job_syncs}",
            *options.controller_args,
        )

    def _scheduler_args(self) -> tuple[str, ...]:
        kubeconfig = self._component_kubeconfig("kube-scheduler")
        return (
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            *self.options.scheduler_args,
        )

    def _component_kubeconfig(self, name: str) -> Path:
        pair = self.ca.client(name, user=f"system:{name}")
        access = Access(self.server, self.ca.pair.cert, pair.cert, pair.key)
        return write_kubeconfig(self.directory / f"{name}.kubeconfig", access)


def _audit_rules(level: str) -> list[Object]:
    if level != "Responses":
        return [{"level": level}]
    writes = {"level": "RequestResponse", "verbs": ["create", "update", "patch", "delete"], "omitManagedFields": True}
    return [writes, {"level": "Metadata"}]


def free_ports(count: int, address: str = LOOPBACK) -> list[int]:
    """Ports that nobody listens on. Random, so that instances started at the same moment do not pick the same."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def _answers(url: str) -> bool:
    host, _, port = url.rpartition("/")[2].partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
