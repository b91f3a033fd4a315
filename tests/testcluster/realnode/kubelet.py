"""The two Kubernetes processes of a node, kubelet and kube-proxy, with their configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.testcluster import programs
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.client import Access
from tests.testcluster.pki import Authority
from tests.testcluster.processes import Process
from tests.testcluster.realnode.network import ADDRESS, POD_NETWORK


def kubelet(
    *, node: str, run: Path, root: Path, ca: Authority, server: str, socket: Path, ports: tuple[int, int]
) -> Process:
    """The kubelet of the node; its files are below `root`, what is mounted there is unmounted at the end."""
    pair = ca.client("kubelet", user=f"system:node:{node}", groups=["system:nodes"])
    kubeconfig = write_kubeconfig(run / "kubelet.kubeconfig", Access(server, ca.pair.cert, pair.cert, pair.key))
    port, health = ports
    config = _file(run / "kubelet.json", _kubelet_config(run, ca, socket, port, health))
    command: list[str | Path] = [
        programs.component("kubelet"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={root}",
        f"--hostname-override={node}",
        f"--node-ip={ADDRESS}",
        f"--cert-dir={run / 'kubelet-certs'}",
    ]
    return Process("kubelet", command, log=run / "kubelet.log")


def kube_proxy(*, node: str, run: Path, ca: Authority, server: str, ports: tuple[int, int]) -> Process:
    """Makes Services, first of all `kubernetes`, reachable from pods and from the host."""
    pair = ca.client("kube-proxy", user="system:kube-proxy")
    kubeconfig = write_kubeconfig(run / "kube-proxy.kubeconfig", Access(server, ca.pair.cert, pair.cert, pair.key))
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node,
        "bindAddress": ADDRESS,
        "healthzBindAddress": f"127.0.0.1:{ports[0]}",
        "metricsBindAddress": f"127.0.0.1:{ports[1]}",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "0.1s"},
    }
    command: list[str | Path] = [programs.component("kube-proxy"), f"--config={_file(run / 'kube-proxy.json', config)}"]
    return Process("kube-proxy", command, log=run / "kube-proxy.log")


def _kubelet_config(run: Path, ca: Authority, socket: Path, port: int, health: int) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "port": port,
        "healthzPort": health,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca.pair.cert)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{socket}",
        "podLogsDir": str(run / "pod-logs"),
        "volumePluginDir": str(run / "volume-plugins"),
        # This node lives inside of whatever cgroup it was started in, on either version of cgroups.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # The disk belongs to the machine: nothing is evicted and no image collected for its sake.
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
        "maxPods": 110,
        "registryPullQPS": 0,
        "makeIPTablesUtilChains": False,
    }


def _file(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path
