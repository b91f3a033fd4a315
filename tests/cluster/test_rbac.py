"""The operator with exactly the chart's rights: everywhere, and in a list of namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.operated import operated_plane, promises_kept
from tests.helm import CHART, helm, settings
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode
from tests.testcluster.objects import JOBSETS, Controllers, install

ACCOUNT = "tuning-tuning-operator"
POD = {"spec": {"containers": [{"name": "main", "image": "registry.example/train:1"}]}}
A_JOBSET = {
    "accelerator": {"count": 0},
    "template": {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "spec": {"replicatedJobs": [{"name": "main", "template": {"spec": {"template": POD}}}]},
    },
}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.5), Controllers(cluster):
        install(cluster, JOBSETS)
        yield cluster


def installed(plane: ControlPlane, system: str, *args: str) -> Path:
    """Install the chart without its Deployment; a kubeconfig with the operator's own token."""
    helm(plane, "install", "tuning", str(CHART), "-n", system, "--set=replicas=0,crds.install=false", *args)
    return plane.service_account_kubeconfig(system, ACCOUNT)


def refused(plane: ControlPlane, system: str) -> list[str]:
    user = f"system:serviceaccount:{system}:{ACCOUNT}"
    return [
        f"{event['verb']} {event['requestURI']}"
        for event in plane.audit_events()
        if event["user"].get("username") == user and event["responseStatus"]["code"] == 403
    ]


@pytest.mark.parametrize("everywhere", [True, False], ids=["cluster-wide", "a list of namespaces"])
def test_the_charts_rights_are_enough_and_none_is_refused(plane: ControlPlane, everywhere: bool) -> None:
    system, served, other = (plane.new_namespace(name) for name in ("system", "served", "other"))
    namespaces = [] if everywhere else [served]
    kinds = [{"group": "jobset.x-k8s.io", "version": "v1alpha2", "kind": "JobSet", "plural": "jobsets"}]
    kubeconfig = installed(plane, system, *settings(watchNamespaces=namespaces, trialKinds=kinds))
    names = [served, other] if everywhere else [served]
    for namespace in (served, other):
        plane.client.create("tuningstudies", a_study("granted", trials=4, parallel=2), namespace)
    try:
        with OperatorProcess(
            plane, name="granted", kubeconfig=kubeconfig, lease_namespace=system, namespaces=namespaces,
            extra=[f"--lease-name={ACCOUNT}", f"--trial-kind={'/'.join(kinds[0].values())}"],
        ) as operator:  # fmt: skip
            for namespace in names:
                wait_for_state(plane, namespace, "granted", "Succeeded")
            eventually(lambda: operator.get("/readyz") == "ok\n", what="it watches")
            plane.client.create("tuningstudies", a_study("second", trials=2, parallel=2), served)
            wait_for_state(plane, served, "second", "Succeeded")
            plane.client.create("tuningstudies", a_study("sets", trials=1, parallel=1, trial=A_JOBSET), served)
            wait_for_state(plane, served, "sets", "Succeeded")
        assert refused(plane, system) == []
        if not everywhere:
            assert plane.client.list("tuningtrials", other) == []
        promises_kept(plane, served, "second")
    finally:
        helm(plane, "uninstall", "tuning", "-n", system)
