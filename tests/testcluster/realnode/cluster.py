"""A control plane with one real node. One on a machine at a time, which a lock sees to."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.testcluster.cache import cache_dir, locked
from tests.testcluster.client import STRATEGIC_PATCH, ApiError, eventually
from tests.testcluster.control_plane import ControlPlane, Options, free_ports
from tests.testcluster.processes import Process
from tests.testcluster.realnode import images, prerequisites
from tests.testcluster.realnode.containerd import Containerd, unmount_below
from tests.testcluster.realnode.kubelet import kube_proxy, kubelet
from tests.testcluster.realnode.network import ADDRESS, PodNetwork

NODE = "node-0"
FAKE_GPUS = "8"
RUN = Path("/run/tuning-testcluster")


class RealCluster(ControlPlane):
    """Like ControlPlane, and pods really run. The node claims to have GPUs; the scheduler counts them for real."""

    def __init__(self, options: Options | None = None) -> None:
        prerequisites.ensure()
        self._held = contextlib.ExitStack()
        self._held.enter_context(locked("real-node", waiting="waiting for another run that uses the real node"))
        self._root = cache_dir() / "node" / "kubelet"
        unmount_below(self._root)
        RUN.mkdir(exist_ok=True)
        self.network = PodNetwork(RUN)
        self.containerd = Containerd(RUN, self.network.config)
        self._node_processes: list[Process] = []
        try:
            self.network.up()
            super().__init__(dataclasses.replace(options or Options(), address=ADDRESS))
            self._start_node()
        except BaseException:
            self.stop()
            raise

    def image(
        self,
        name: str,
        *,
        dockerfile: Path,
        context: Path,
        target: str = "",
        sources: Sequence[Path] | None = None,
        build_args: Mapping[str, str] | None = None,
    ) -> str:
        """Build an image, if its sources have changed, and load it; the result is what a pod says as its image.

        The sources whose contents decide are what the Dockerfile copies, unless given. BASE_IMAGE is set to a stand-in
        for python:3.13-slim.
        """
        recipe = images.Recipe(
            name, dockerfile=dockerfile, context=context, target=target, args=dict(build_args or {}), sources=sources
        )
        return images.ensure(self.containerd, recipe)

    def stop(self, *, keep_files: bool = False) -> None:
        """End the pods as a node does, so that nothing of them is left on the machine, then everything else."""
        if any(process.name == "kubelet" and process.running for process in self._node_processes):
            with contextlib.suppress(Exception):
                self._delete_pods()
        for process in self._node_processes:
            process.stop(grace=3)
        self.containerd.stop()
        unmount_below(self._root)
        if hasattr(self, "components"):
            super().stop(keep_files=keep_files)
        self.network.down()
        if not keep_files:
            unmount_below(RUN)
        self._held.close()

    def log_tails(self, lines: int = 40) -> str:
        node = [self.containerd.process, *self._node_processes]
        return "\n".join([super().log_tails(lines), *(process.tail(lines) for process in node)])

    def _start_node(self) -> None:
        (RUN / "pod-logs").mkdir(exist_ok=True)
        self.containerd.start()
        port, health, proxy_health, proxy_metrics = free_ports(4, ADDRESS)
        agent = kubelet(
            node=NODE, run=RUN, root=self._root, ca=self.ca, server=self.server, socket=self.containerd.socket,
            ports=(port, health),
        )  # fmt: skip
        proxy = kube_proxy(node=NODE, run=RUN, ca=self.ca, server=self.server, ports=(proxy_health, proxy_metrics))
        self._node_processes = [agent, proxy]
        agent.start()
        proxy.start()
        agent.wait_until(self._node_ready, interval=0.2)
        gpus = {"nvidia.com/gpu": FAKE_GPUS}
        patch = {"status": {"capacity": gpus, "allocatable": gpus}}
        self.client.patch("nodes", NODE, patch, subresource="status", content_type=STRATEGIC_PATCH)

    def _node_ready(self) -> bool:
        node = self.client.find("nodes", NODE)
        if node is None or node["spec"].get("taints"):
            return False
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))

    def _delete_pods(self) -> None:
        # Controllers first, or they make new pods as fast as we delete them.
        self.component("kube-controller-manager").kill()
        for pod in self.client.list("pods"):
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            finalizers = {"metadata": {"finalizers": None}}
            with contextlib.suppress(ApiError):
                self.client.request("PATCH", path, finalizers, content_type="application/merge-patch+json")
                self.client.request("DELETE", path, {"gracePeriodSeconds": 1})
        eventually(lambda: not self.client.list("pods"), timeout=20, what="the end of all pods")
