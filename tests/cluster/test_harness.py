"""The test cluster itself: what every other cluster test takes for granted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.testcluster.claims import a_claim
from tests.testcluster.client import ApiError, Client, eventually
from tests.testcluster.cluster import Cluster
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule
from tests.testcluster.fakenode.objective import bowl

ROOT = Path(__file__).parents[2]


def a_job(name: str, parameters: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "trial",
        "image": "example.test/trial:1",
        "env": [{"name": "TUNING_PARAMETERS", "value": json.dumps(parameters or {})}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template} | spec}


def the_pod(cluster: Cluster, namespace: str, job: str, *phases: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        pods = cluster.client.list("pods", namespace, labels=f"job-name={job}")
        return pods[0] if pods and pods[0]["status"]["phase"] in phases else None

    return eventually(look, what=f"pod of {job} in {' or '.join(phases)}")


def terminated(pod: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


def test_a_job_runs_to_completion_and_its_pod_leaves_a_report(
    control_plane: Cluster, namespace: str, fake_node: FakeNode
) -> None:
    parameters = {"lr": 0.01, "optimizer": "sgd", "momentum": 0.5, "layers": 2}
    control_plane.client.create("jobs", a_job("one", parameters), namespace)

    pod = the_pod(control_plane, namespace, "one", "Succeeded")
    report = json.loads(terminated(pod)["message"])

    assert report["v"] == 1
    assert report["done"] is True
    assert report["final"]["loss"] == pytest.approx(bowl(parameters))
    assert pod["spec"]["nodeName"] == fake_node.name
    eventually(
        lambda: control_plane.client.get("jobs", "one", namespace)["status"].get("succeeded") == 1, what="Job complete"
    )


@pytest.mark.parametrize(
    ("rule", "code", "reason"),
    [
        pytest.param(Rule(end="exit", code=42), 42, "Error", id="a chosen exit code"),
        pytest.param(Rule(end="oom"), 137, "OOMKilled", id="killed for memory"),
        pytest.param(Rule(end="disrupt"), 143, "Error", id="preempted"),
    ],
)
def test_a_rule_makes_the_pods_it_matches_fail(
    control_plane: Cluster, namespace: str, rule: Rule, code: int, reason: str
) -> None:
    matching = Rule(**{**vars(rule), "parameters": {"lr": [0.1, 1]}})
    with FakeNode(control_plane, seconds=0.1, rules=[matching]):
        control_plane.client.create("jobs", a_job("good", {"lr": 0.01}), namespace)
        control_plane.client.create("jobs", a_job("bad", {"lr": 0.5}), namespace)

        assert terminated(the_pod(control_plane, namespace, "good", "Succeeded"))["exitCode"] == 0
        bad = the_pod(control_plane, namespace, "bad", "Failed")

    assert (terminated(bad)["exitCode"], terminated(bad)["reason"]) == (code, reason)
    targeted = [c for c in bad["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert bool(targeted) == (rule.end == "disrupt")


def test_an_image_that_cannot_be_pulled_keeps_the_pod_waiting(control_plane: Cluster, namespace: str) -> None:
    with FakeNode(control_plane, rules=[Rule(end="image")]):
        control_plane.client.create("jobs", a_job("one"), namespace)

        def reason() -> str:
            pod = the_pod(control_plane, namespace, "one", "Pending")
            statuses = pod["status"].get("containerStatuses") or [{}]
            return str(statuses[0].get("state", {}).get("waiting", {}).get("reason"))

        eventually(lambda: reason() == "ImagePullBackOff", what="ImagePullBackOff")


def test_a_deleted_pod_ends_with_143_and_is_gone(control_plane: Cluster, namespace: str) -> None:
    with FakeNode(control_plane, rules=[Rule(end="never")]):
        control_plane.client.create("jobs", a_job("one"), namespace)
        pod = the_pod(control_plane, namespace, "one", "Running")
        since = pod["metadata"]["resourceVersion"]

        control_plane.client.delete("jobs", "one", namespace)

        events = control_plane.client.watch("pods", namespace, since=since, timeout=10)
        last = next(event["object"] for event in events if event["type"] == "DELETED")
    assert terminated(last)["exitCode"] == 143


def a_training_job(name: str, *, until: int, claim: str, port: int = 9464) -> dict[str, Any]:
    """A trial of nine steps with rungs at 1 and 3, which stops by itself at `until`."""
    job = a_job(name, {"lr": 0.01})
    pod = job["spec"]["template"]["spec"]
    fidelity = {"parameter": "epochs", "max": 9, "rungs": [1, 3, 9], "until": until}
    pod["containers"][0]["env"] += [
        {"name": "TUNING_FIDELITY", "value": json.dumps(fidelity)},
        {"name": "TUNING_CHECKPOINT_DIR", "value": "/checkpoint"},
        {"name": "TUNING_METRICS_PORT", "value": str(port)},
    ]
    pod["containers"][0]["volumeMounts"] = [{"name": "kept", "mountPath": "/checkpoint", "subPath": "trial-0"}]
    pod["volumes"] = [{"name": "kept", "persistentVolumeClaim": {"claimName": claim}}]
    return job


def told(pod: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(terminated(pod)["message"])
    return report


def test_a_training_pod_stops_at_its_rung_and_goes_on_from_its_checkpoint(
    control_plane: Cluster, namespace: str
) -> None:
    claim = a_claim(control_plane, namespace)
    with FakeNode(control_plane, seconds=0.9):
        for name, until in (("first", 3), ("second", 9)):
            control_plane.client.create("jobs", a_training_job(name, until=until, claim=claim), namespace)
            the_pod(control_plane, namespace, name, "Succeeded", "Failed")
        first, second = (the_pod(control_plane, namespace, name, "Succeeded", "Failed") for name in ("first", "second"))

    loss = bowl({"lr": 0.01})
    assert (terminated(first)["exitCode"], told(first)["step"], told(first)["done"]) == (143, 3, False)
    assert (terminated(second)["exitCode"], told(second)["step"], told(second)["done"]) == (0, 9, True)
    assert told(first)["rungs"] == {"1": {"loss": loss + 1}, "3": {"loss": loss + 1 / 3}}
    assert told(second)["rungs"] == told(first)["rungs"] | {"9": {"loss": loss + 1 / 9}}


def test_a_training_pod_tells_its_rungs_while_it_runs_and_saves_when_it_is_stopped(
    control_plane: Cluster, namespace: str
) -> None:
    claim = a_claim(control_plane, namespace)
    with FakeNode(control_plane, seconds=3):
        control_plane.client.create("jobs", a_training_job("one", until=9, claim=claim), namespace)
        pod = the_pod(control_plane, namespace, "one", "Running")
        address = f"http://{pod['status']['podIP']}:9464/metrics"

        def reached() -> str:
            with urllib.request.urlopen(address, timeout=2) as answer:
                text = str(answer.read().decode())
            return text if 'budget="3"' in text else ""

        live = eventually(reached, timeout=10, what="the rung at 3 steps")
        control_plane.client.delete("jobs", "one", namespace)
        eventually(lambda: not control_plane.client.list("pods", namespace), what="the pod is gone")
        control_plane.client.create("jobs", a_training_job("again", until=9, claim=claim), namespace)
        again = the_pod(control_plane, namespace, "again", "Succeeded")

    value = bowl({"lr": 0.01}) + 1 / 3
    assert f'tuning_rung{{metric="loss",budget="3"}} {value!r}' in live
    assert told(again)["rungs"]["3"] == {"loss": value}
    started, ended = (datetime.fromisoformat(terminated(again)[f"{when}At"]) for when in ("started", "finished"))
    assert (ended - started).total_seconds() <= 2.5


def test_a_user_may_do_what_rbac_gives_and_nothing_else(control_plane: Cluster, namespace: str) -> None:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("a cluster of KUBECONFIG issues no user certificates")
    control_plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "reader", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
        },
    )
    mine = control_plane.user_kubeconfig("jane", "readers", namespace=namespace)
    jane = Client(control_plane.user_access("jane", "readers"))

    assert "kube-root-ca.crt" in control_plane.kubectl("get", "configmaps", "-o", "name", kubeconfig=mine)
    with pytest.raises(ApiError, match='User "jane" cannot list resource "secrets"'):
        jane.list("secrets", namespace)


def test_a_service_account_is_known_by_its_token(control_plane: Cluster, namespace: str) -> None:
    account = control_plane.service_account_kubeconfig(namespace, "default")

    said = control_plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", kubeconfig=account)

    assert said == f"system:serviceaccount:{namespace}:default"


def test_an_api_server_that_is_killed_comes_back_with_everything() -> None:
    with ControlPlane() as own, FakeNode(own, seconds=2):
        namespace = own.new_namespace()
        own.client.create("jobs", a_job("one"), namespace)
        the_pod(own, namespace, "one", "Running")

        own.restart("kube-apiserver")

        assert terminated(the_pod(own, namespace, "one", "Succeeded"))["exitCode"] == 0
        agents = {event["userAgent"] for event in own.audit_events()}
        assert {"fake-node/running", "fake-node/ended"} <= agents


def test_nothing_outlives_a_test_run_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal
from tests.testcluster.processes import Process
child = Process("child", ["sleep", "600"], log=pathlib.Path({str(tmp_path / "log")!r}))
child.start()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    child = int(run.stdout)

    def gone() -> bool:
        try:
            return ") Z " in Path(f"/proc/{child}/stat").read_text()
        except FileNotFoundError:
            return True

    assert run.returncode == -signal.SIGKILL
    eventually(gone, timeout=10, what="the end of the child")
