"""The real node itself: what every other test on it takes for granted."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pods import restricted
from tests.testcluster.client import ApiError, eventually
from tests.testcluster.programs import KUBERNETES_VERSION
from tests.testcluster.realnode import RealCluster

HERE = Path(__file__).parent / "harness"


@pytest.fixture(scope="module")
def probe_image(real_cluster: RealCluster) -> str:
    return real_cluster.image("harness-probe", dockerfile=HERE / "Dockerfile", context=HERE)


def a_pod(image: str, *, gpus: int = 1) -> dict[str, Any]:
    return restricted("probe", image, resources={"limits": {"nvidia.com/gpu": str(gpus)}})


def the_probe(cluster: RealCluster, namespace: str, phase: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        pod = cluster.client.get("pods", "probe", namespace)
        return pod if pod["status"]["phase"] == phase else None

    return eventually(look, timeout=60, what=f"the pod {phase}")


def answer_of(pod: dict[str, Any]) -> Any:
    """What it says, once it does: from then on it also hears a SIGTERM."""

    def ask() -> Any:
        try:
            with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8000/", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    return eventually(ask, what="an answer of the pod")


def test_a_restricted_pod_runs_and_host_and_api_are_in_its_reach(
    real_cluster: RealCluster, namespace: str, probe_image: str
) -> None:
    real_cluster.client.create("pods", a_pod(probe_image), namespace)
    pod = the_probe(real_cluster, namespace, "Running")

    assert answer_of(pod) == {"uid": 65532, "api": KUBERNETES_VERSION, "installed": "iniconfig"}


def test_a_stopped_pod_leaves_its_termination_message(
    real_cluster: RealCluster, namespace: str, probe_image: str
) -> None:
    real_cluster.client.create("pods", a_pod(probe_image), namespace)
    pod = the_probe(real_cluster, namespace, "Running")
    since = pod["metadata"]["resourceVersion"]
    answer_of(pod)
    eventually(lambda: "probe" in real_cluster.kubectl("exec", "probe", "-n", namespace, "--", "ls", "/"), what="exec")

    real_cluster.client.delete("pods", "probe", namespace)

    events = real_cluster.client.watch("pods", namespace, since=since, timeout=60)
    last = next(event["object"] for event in events if event["type"] == "DELETED")
    ended = last["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (143, '{"loss": 0.5}')


def test_what_is_not_restricted_is_refused(real_cluster: RealCluster, namespace: str, probe_image: str) -> None:
    pod = a_pod(probe_image)
    del pod["spec"]["containers"][0]["securityContext"]

    with pytest.raises(ApiError, match="violates PodSecurity"):
        real_cluster.client.create("pods", pod, namespace)


def test_more_gpus_than_the_node_claims_are_not_scheduled(
    real_cluster: RealCluster, namespace: str, probe_image: str
) -> None:
    real_cluster.client.create("pods", a_pod(probe_image, gpus=9), namespace)

    def refused() -> bool:
        conditions = real_cluster.client.get("pods", "probe", namespace)["status"].get("conditions", [])
        return any(c.get("reason") == "Unschedulable" and "nvidia.com/gpu" in c["message"] for c in conditions)

    eventually(refused, what="Unschedulable for want of GPUs")


def test_an_image_that_is_not_loaded_is_not_looked_for_outside(real_cluster: RealCluster, namespace: str) -> None:
    real_cluster.client.create("pods", a_pod("example.test/nothing:1"), namespace)

    def reason() -> bool:
        pod = real_cluster.client.get("pods", "probe", namespace)
        (status,) = pod["status"].get("containerStatuses") or [{}]
        return status.get("state", {}).get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")

    eventually(reason, timeout=60, what="ErrImagePull")
