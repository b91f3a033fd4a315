"""What GitOps tools see of an installation and of a study: its health, and no drift."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.helm import CHART, helm, settings
from tests.operator_process import OperatorProcess, wait_for_state
from tests.statuses import RECORDINGS
from tests.testcluster import programs
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits-lenet.yaml"
RELEASE = "tuning-operator"

KSTATUS = {
    "just-applied": "InProgress",
    "starting": "InProgress",
    "running": "InProgress",
    "waiting-for-quota": "InProgress",
    "suspending": "InProgress",
    "suspended": "InProgress",
    "stalled-invalid-spec": "Failed",
    "stalled-forbidden": "Failed",
    "stalled-image": "Failed",
    "finishing": "InProgress",
    "succeeded": "Current",
    "failed-too-many": "Failed",
    "failed-without-success": "Failed",
    "failed-final-run": "Failed",
}


def test_kstatus_knows_every_state_of_a_study() -> None:
    studies = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(RECORDINGS.glob("*.yaml"))}

    verdicts = programs.kstatus(list(studies.values()))

    assert {state: verdict["status"] for state, verdict in zip(studies, verdicts, strict=True)} == KSTATUS


@pytest.fixture(scope="module")
def installed() -> Iterator[tuple[ControlPlane, str]]:
    """A cluster with the chart in a namespace, whose operator is a process here with the chart's own account."""
    with ControlPlane() as cluster:
        system = cluster.new_namespace("system")
        helm(cluster, "install", RELEASE, str(CHART), "-n", system, *settings(replicas=0))
        operator = OperatorProcess(
            cluster,
            kubeconfig=cluster.service_account_kubeconfig(system, RELEASE),
            lease_namespace=system,
            extra=[f"--lease-name={RELEASE}"],
        )
        with FakeNode(cluster, seconds=0.3, metric="val_accuracy"), operator:
            yield cluster, system


@pytest.fixture(scope="module", params=["client", "server"])
def finished(installed: tuple[ControlPlane, str], request: pytest.FixtureRequest) -> tuple[ControlPlane, str, str]:
    """A namespace where the example was applied as it stands, and has run to its end; and the side of the apply."""
    cluster, _ = installed
    team = cluster.new_namespace("team")
    cluster.kubectl("apply", f"--server-side={request.param == 'server'}", "-n", team, "-f", str(EXAMPLE))
    wait_for_state(cluster, team, "digits-lenet", "Succeeded")
    return cluster, team, request.param


def test_a_study_that_ran_shows_no_drift(finished: tuple[ControlPlane, str, str]) -> None:
    cluster, team, side = finished

    assert cluster.kubectl("diff", f"--server-side={side == 'server'}", "-n", team, "-f", str(EXAMPLE)) == ""


def test_the_operator_wrote_nothing_but_the_status(finished: tuple[ControlPlane, str, str]) -> None:
    cluster, team, side = finished
    metadata = cluster.client.get("tuningstudies", "digits-lenet", team)["metadata"]

    written = {(field["manager"], field.get("subresource", "")) for field in metadata["managedFields"]}
    assert written - {("kubectl-client-side-apply", ""), ("kubectl", "")} == {("tuning-operator", "status")}
    assert len(metadata.get("annotations", {})) == (1 if side == "client" else 0)  # kubectl's own
    assert not metadata.keys() & {"finalizers", "labels", "ownerReferences"}


def test_labels_that_gitops_tools_track_by_are_not_handed_on(installed: tuple[ControlPlane, str]) -> None:
    cluster, _ = installed
    team = cluster.new_namespace("team")
    study = yaml.safe_load(EXAMPLE.read_text())
    study["metadata"]["labels"] = {"app.kubernetes.io/instance": "studies"}
    cluster.client.create("tuningstudies", study, team)
    wait_for_state(cluster, team, "digits-lenet", "Succeeded")

    made = [each for kind in ("tuningtrials", "jobs", "pods") for each in cluster.client.list(kind, team)]

    assert len(made) >= 3
    assert [each for each in made if "app.kubernetes.io/instance" in each["metadata"].get("labels", {})] == []


def test_an_installation_that_ran_shows_no_drift(installed: tuple[ControlPlane, str]) -> None:
    cluster, system = installed

    rendered = helm(cluster, "template", RELEASE, str(CHART), "-n", system, *settings(replicas=0))

    assert rendered.strip() == helm(cluster, "get", "manifest", RELEASE, "-n", system).strip()
    assert cluster.kubectl("diff", "--server-side", "--field-manager=gitops", "-f", "-", stdin=rendered) == ""
