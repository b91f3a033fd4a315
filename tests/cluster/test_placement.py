"""Parameters that choose where and on what a trial runs, with the real scheduler: the world is asked what it did.

Two pools of nodes, told apart by label and taint; whole devices, two sizes of parts (MIG profiles) as extended
resources, and devices that are claimed (DRA).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.cluster.operated import operated_plane, promises_kept, trials
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode

POD = "/spec/template/spec"
LIMITS = f"{POD}/containers/0/resources/limits"
POOLS = ("red", "blue")
SMALL, LARGE = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"
PARTS = {SMALL: "4", LARGE: "2"}
DRIVER = "gpu.example.com"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def nodes() -> dict[str, str]:
    """Name of each pool's node."""
    return {}


@pytest.fixture(scope="module")
def plane(nodes: dict[str, str]) -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=2) as red, FakeNode(cluster, seconds=2) as blue:
        for pool, node in zip(POOLS, (red, blue), strict=True):
            nodes[pool] = node.name
            taint = {"key": "pool", "value": pool, "effect": "NoSchedule"}
            of_pool = {"metadata": {"labels": {"pool": pool}}, "spec": {"taints": [taint]}}
            cluster.client.patch("nodes", node.name, of_pool)
            status = {"status": {"capacity": PARTS, "allocatable": PARTS}}
            cluster.client.patch("nodes", node.name, status, subresource="status")
            cluster.apply(devices(node.name))
        for value, name in enumerate(("low", "high")):
            cluster.apply(
                {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
                | {"value": value * 1000}
            )
        cluster.apply({"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": DRIVER}} | CLASS)
        with OperatorProcess(cluster):
            yield cluster


CLASS: Object = {"spec": {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]}}


def devices(node: str) -> Object:
    """What a driver would tell of a node: four devices."""
    found = [{"name": f"gpu-{number}"} for number in range(4)]
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": found}
    return {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": f"{node}-gpus"}, "spec": spec
    }  # fmt: skip


def a_claim_template(name: str, count: int) -> Object:
    exactly = {"deviceClassName": DRIVER, "count": count}
    spec = {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}}
    kind = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate"}
    return kind | {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    return plane.new_namespace("placed")


def a_placed_study(parameters: list[Object], bind: dict[str, str], *, count: int, **pod: Any) -> Object:
    """A grid over the parameters, each bound to its field."""
    container: Object = {"name": "main", "image": "registry.example/train:1"}
    if "resourceClaims" in pod:
        container["resources"] = {"claims": [{"name": each["name"]} for each in pod["resourceClaims"]]}
    tolerated = [{"key": "pool", "operator": "Exists"}]
    template = {"spec": {"template": {"spec": {"tolerations": tolerated} | pod | {"containers": [container]}}}}
    trial = {
        "template": template,
        "accelerator": {"count": count},
        "bind": [{"parameter": name, "to": to} for name, to in bind.items()],
    }
    limits = {"trials": 12, "parallel": 4}
    return a_study(
        "placed", trials=0, parallel=0, parameters=parameters, algorithm={"name": "Grid"}, limits=limits, trial=trial
    )


def run(plane: ControlPlane, namespace: str, study: Object) -> list[tuple[Object, Object]]:
    """Its trials, each with its pod, once all is done."""
    plane.client.create("tuningstudies", study, namespace)
    ended = wait_for_state(plane, namespace, "placed", "Succeeded", "Failed", "Stalled")
    assert ended["status"]["state"] == "Succeeded", ended["status"]["conditions"]
    promises_kept(plane, namespace, "placed")
    pods = {pod["metadata"]["labels"]["tuning.study/trial"]: pod for pod in plane.client.list("pods", namespace)}
    return [(trial, pods[str(trial["spec"]["number"])]) for trial in trials(plane, namespace, "placed")]


def seconds_of(pod: Object) -> float:
    end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    begun, ended = (datetime.fromisoformat(end[key]) for key in ("startedAt", "finishedAt"))
    return (ended - begun).total_seconds()


def test_parameters_choose_node_toleration_and_priority(
    plane: ControlPlane, namespace: str, nodes: dict[str, str]
) -> None:
    parameters = [{"name": "pool", "choice": list(POOLS)}, {"name": "priority", "choice": ["low", "high"]}]
    bind = {"pool": f"{POD}/nodeSelector/pool", "priority": f"{POD}/priorityClassName"}
    study = a_placed_study(parameters, bind, count=1, tolerations=[{"key": "pool", "operator": "Equal"}])
    study["spec"]["trial"]["bind"].append({"parameter": "pool", "to": f"{POD}/tolerations/0/value"})

    found = run(plane, namespace, study)

    assert len(found) == 4
    for trial, pod in found:
        chosen = trial["spec"]["parameters"]
        assert pod["spec"]["nodeName"] == nodes[chosen["pool"]]
        assert pod["spec"]["priority"] == {"low": 0, "high": 1000}[chosen["priority"]]
        assert {"key": "pool", "operator": "Equal", "value": chosen["pool"]} in pod["spec"]["tolerations"]


def test_a_parameter_chooses_a_profile_and_another_how_many(plane: ControlPlane, namespace: str) -> None:
    """The name of the resource hangs on the profile: the parameter of the other one is not active."""
    parameters = [
        {"name": "profile", "choice": ["small", "large"]},
        {"name": "small", "int": {"min": 1, "max": 2}, "when": [{"parameter": "profile", "values": ["small"]}]},
        {"name": "large", "int": {"min": 1, "max": 2}, "when": [{"parameter": "profile", "values": ["large"]}]},
    ]
    names = {"small": SMALL, "large": LARGE}
    bind = {each: f"{LIMITS}/{name.replace('/', '~1')}" for each, name in names.items()}

    found = run(plane, namespace, a_placed_study(parameters, bind, count=0))

    assert len(found) == 4
    for trial, pod in found:
        chosen = trial["spec"]["parameters"]
        held = pod["spec"]["containers"][0]["resources"]["limits"]
        assert held == {names[chosen["profile"]]: str(chosen[chosen["profile"]])}
        assert trial["status"]["acceleratorSeconds"] == chosen[chosen["profile"]] * seconds_of(pod)


def test_accelerator_seconds_are_those_of_the_pod_and_of_all_it_holds(plane: ControlPlane, namespace: str) -> None:
    parameters = [{"name": "gpus", "choice": [1, 4]}]

    found = run(plane, namespace, a_placed_study(parameters, {"gpus": f"{LIMITS}/nvidia.com~1gpu"}, count=2))

    spent = {trial["spec"]["parameters"]["gpus"]: trial["status"]["acceleratorSeconds"] for trial, _ in found}
    assert spent == {trial["spec"]["parameters"]["gpus"]: _cost(trial, pod) for trial, pod in found}
    total = plane.client.get("tuningstudies", "placed", namespace)["status"]["acceleratorSeconds"]
    assert total == sum(spent.values()) > 0


def _cost(trial: Object, pod: Object) -> float:
    gpus: int = trial["spec"]["parameters"]["gpus"]
    return gpus * seconds_of(pod)


def test_claims_of_devices_are_made_and_allocated(plane: ControlPlane, namespace: str) -> None:
    for name, count in (("one-gpu", 1), ("two-gpus", 2)):
        plane.apply(a_claim_template(name, count), namespace=namespace)
    parameters = [{"name": "device", "choice": ["one-gpu", "two-gpus"]}]
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    bind = {"device": f"{POD}/resourceClaims/0/resourceClaimTemplateName"}
    study = a_placed_study(parameters, bind, count=0, resourceClaims=claims)
    plane.client.create("tuningstudies", study, namespace)

    def allocated() -> list[int]:
        found = plane.client.list("resource.k8s.io/v1/resourceclaims", namespace)
        results = [each.get("status", {}).get("allocation", {}).get("devices", {}).get("results", []) for each in found]
        return sorted(len(each) for each in results if each)

    eventually(lambda: allocated() == [1, 2], interval=0.1, what="one device and two devices are allocated")
    wait_for_state(plane, namespace, "placed", "Succeeded")
    for trial in trials(plane, namespace, "placed"):
        assert trial["status"]["acceleratorSeconds"] > 0
    promises_kept(plane, namespace, "placed")
