"""The chart on a real API server: rights, Pod Security, upgrade, removal. Nothing runs here; the pods have no node."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm import CHART, ROOT, HelmError, helm, settings
from tests.testcluster import programs
from tests.testcluster.client import ApiError, Client, eventually
from tests.testcluster.cluster import Cluster
from tests.testcluster.control_plane import ControlPlane
from tuning_operator.cluster.__main__ import options

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
OPERATOR = "system:serviceaccount:{namespace}:tuning-tuning-operator"
# verb, group, resource
NEEDED = [
    ("list", "tuning.study", "tuningstudies"),
    ("patch", "tuning.study", "tuningstudies/status"),
    ("create", "tuning.study", "tuningtrials"),
    ("patch", "tuning.study", "tuningtrials/status"),
    ("create", "batch", "jobs"),
    ("delete", "batch", "jobs"),
    ("watch", "", "pods"),
    ("get", "", "configmaps"),
    ("create", "", "services"),
    ("create", "events.k8s.io", "events"),
]
TOO_MUCH = [
    ("patch", "tuning.study", "tuningstudies"),
    ("delete", "tuning.study", "tuningstudies"),
    ("patch", "tuning.study", "tuningtrials"),
    ("delete", "tuning.study", "tuningtrials"),
    ("patch", "batch", "jobs"),
    ("delete", "", "pods"),
    ("create", "", "pods/exec"),
    ("get", "", "secrets"),
    ("list", "", "configmaps"),
    ("delete", "", "services"),
    ("patch", "", "services"),
]
LEASE = ("create", "coordination.k8s.io", "leases")


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane of its own: Helm must own the CRDs that it installs."""
    with ControlPlane() as own:
        yield own


@pytest.fixture
def release(plane: ControlPlane) -> Iterator[tuple[ControlPlane, str]]:
    """A namespace to install into, with Pod Security `restricted`; what was installed is removed after the test."""
    namespace = plane.new_namespace("system", labels=RESTRICTED)
    yield plane, namespace
    helm(plane, "uninstall", "tuning", "--namespace", namespace, "--ignore-not-found")


def install(cluster: Cluster, namespace: str, *args: str) -> None:
    helm(cluster, "install", "tuning", str(CHART), "--namespace", namespace, "--take-ownership", *args)
    for kind in ("tuningstudies", "tuningtrials"):
        eventually(lambda kind=kind: listable(cluster, kind), what=f"{kind} are served")


def listable(cluster: Cluster, kind: str) -> bool:
    """A young CRD is served some moments after it is established: 404, then 429 until its cache is filled."""
    try:
        cluster.client.list(kind)
    except ApiError as error:
        if error.status in (404, 429):
            return False
        raise
    return True


def allowed(cluster: Cluster, user: str, right: tuple[str, str, str], namespace: str) -> bool:
    verb, group, resource = right
    resource, _, subresource = resource.partition("/")
    what = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace}
    review = {"spec": {"user": user, "groups": [], "resourceAttributes": what}}
    answer = cluster.client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def a_study(name: str) -> dict[str, Any]:
    spec = {
        "objectives": [{"metric": "val_accuracy", "goal": "Maximize"}],
        "parameters": [{"name": "optimizer.lr", "float": {"min": 0.001, "max": 0.1}}],
        "limits": {"trials": 3},
        "trial": {"trainer": {}},
    }
    return {"apiVersion": "tuning.study/v1alpha1", "kind": "TuningStudy", "metadata": {"name": name}, "spec": spec}


def test_what_is_made_from_the_chart_and_from_crds_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "charts/render.py"), "--check", "--helm", str(programs.helm())]

    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_the_operator_may_do_what_it_needs_everywhere_and_no_more(release: tuple[ControlPlane, str]) -> None:
    cluster, namespace = release
    install(cluster, namespace)
    other = cluster.new_namespace()
    account = OPERATOR.format(namespace=namespace)

    assert [rule for rule in NEEDED if not allowed(cluster, account, rule, other)] == []
    assert [rule for rule in TOO_MUCH if allowed(cluster, account, rule, other)] == []
    assert not allowed(cluster, account, LEASE, other)
    assert allowed(cluster, account, LEASE, namespace)


def test_with_a_list_of_namespaces_there_is_no_cluster_role_and_no_right_elsewhere(
    release: tuple[ControlPlane, str],
) -> None:
    cluster, namespace = release
    served, other = cluster.new_namespace(), cluster.new_namespace()
    install(cluster, namespace, *settings(watchNamespaces=[served]))
    account = OPERATOR.format(namespace=namespace)

    ours = [role for role in cluster.client.list("clusterroles") if "tuning" in role["metadata"]["name"]]
    assert ours == []
    assert [rule for rule in NEEDED if not allowed(cluster, account, rule, served)] == []
    assert [rule for rule in NEEDED + TOO_MUCH if allowed(cluster, account, rule, other)] == []


def test_an_editor_of_a_namespace_writes_studies_and_reads_trials(release: tuple[ControlPlane, str]) -> None:
    cluster, namespace = release
    install(cluster, namespace)
    team = cluster.new_namespace()
    cluster.kubectl("create", "rolebinding", "jane", "--clusterrole=edit", "--user=jane", "-n", team)
    jane = Client(cluster.user_access("jane"))

    def created() -> bool:  # the controller takes a moment to aggregate the roles
        try:
            return bool(jane.create("tuningstudies", a_study("mine"), team))
        except ApiError as error:
            if error.status == 403:
                return False
            raise

    eventually(created, what="the right to create a study")
    assert jane.list("tuningtrials", team) == []
    with pytest.raises(ApiError, match="cannot create resource"):
        jane.create("tuningtrials", {"metadata": {"name": "forged"}}, team)
    with pytest.raises(ApiError, match="cannot patch resource"):
        jane.patch("tuningstudies", "mine", {"status": {"state": "Succeeded"}}, team, subresource="status")


def test_who_may_not_create_jobs_may_not_have_a_study_create_them(release: tuple[ControlPlane, str]) -> None:
    cluster, namespace = release
    install(cluster, namespace)
    team = cluster.new_namespace()
    verbs = "--verb=create,get,update,patch"
    cluster.kubectl("create", "role", "studies", verbs, "--resource=tuningstudies.tuning.study", "-n", team)
    cluster.kubectl("create", "rolebinding", "joe", "--role=studies", "--user=joe", "-n", team)
    joe = Client(cluster.user_access("joe"))

    def refused() -> bool:  # a policy takes a moment to be in force
        try:
            joe.create("tuningstudies", a_study("forbidden"), team)
        except ApiError as error:
            assert error.status == 403
            return "user joe may not create jobs in namespace" in str(error)
        cluster.client.delete("tuningstudies", "forbidden", team)
        return False

    eventually(refused, what="the refusal")
    cluster.client.create("tuningstudies", a_study("given"), team)
    with pytest.raises(ApiError, match="user joe may not create jobs"):
        joe.patch("tuningstudies", "given", {"spec": {"limits": {"parallel": 9}}}, team)
    joe.patch("tuningstudies", "given", {"metadata": {"labels": {"team": "a"}}}, team)
    cluster.kubectl("create", "role", "jobs", "--verb=create", "--resource=jobs.batch", "-n", team)
    cluster.kubectl("create", "rolebinding", "joe-jobs", "--role=jobs", "--user=joe", "-n", team)
    eventually(lambda: not refused_again(joe, team), what="joe's study")


def refused_again(client: Client, namespace: str) -> bool:
    try:
        client.create("tuningstudies", a_study("allowed"), namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return True
    return False


def test_a_policy_is_mounted_and_a_changed_one_is_another_pod(release: tuple[ControlPlane, str]) -> None:
    cluster, namespace = release
    install(cluster, namespace, *settings(policy={"default": {"maxAccelerators": 8}}))
    (first,) = cluster.client.list("deployments", namespace)
    helm(
        cluster,
        "upgrade",
        "tuning",
        str(CHART),
        "--namespace",
        namespace,
        *settings(policy={"default": {"maxParallel": 4}}),
    )
    (second,) = cluster.client.list("deployments", namespace)
    (policy,) = (m for m in cluster.client.list("configmaps", namespace) if m["metadata"]["name"].endswith("-policy"))

    assert yaml.safe_load(policy["data"]["policy.yaml"]) == {"default": {"maxParallel": 4}}
    pods = [deployment["spec"]["template"] for deployment in (first, second)]
    assert pods[0]["metadata"]["annotations"] != pods[1]["metadata"]["annotations"]
    assert "--policy=/etc/tuning-operator/policy.yaml" in pods[1]["spec"]["containers"][0]["args"]
    assert pods[1]["spec"]["volumes"][0]["configMap"]["name"] == policy["metadata"]["name"]


def test_the_pod_is_admitted_where_restricted_is_enforced(release: tuple[ControlPlane, str]) -> None:
    cluster, namespace = release
    install(cluster, namespace)

    pods = eventually(lambda: cluster.client.list("pods", namespace), what="the operator's pod")

    assert pods[0]["metadata"]["labels"]["app.kubernetes.io/instance"] == "tuning"


def test_an_upgrade_brings_new_crds_and_a_removal_keeps_them_and_the_studies(
    release: tuple[ControlPlane, str], tmp_path: Path
) -> None:
    cluster, namespace = release
    older = Path(shutil.copytree(CHART, tmp_path / "older"))
    file = older / "files/crds" / sorted(path.name for path in (CHART / "files/crds").glob("*studies*"))[0]
    crd = yaml.safe_load(file.read_text())
    crd["spec"]["names"]["shortNames"] = ["older"]
    file.write_text(yaml.safe_dump(crd))
    helm(cluster, "install", "tuning", str(older), "--namespace", namespace, "--take-ownership")
    team = cluster.new_namespace()
    eventually(lambda: is_served(cluster, "older"), what="the older CRD")
    cluster.client.create("tuningstudies", a_study("mine"), team)

    helm(cluster, "upgrade", "tuning", str(CHART), "--namespace", namespace)
    eventually(lambda: is_served(cluster, "tstudy"), what="the new CRD")
    helm(cluster, "uninstall", "tuning", "--namespace", namespace)

    assert cluster.client.get("tuningstudies", "mine", team)["spec"]["parameters"]


def test_an_unknown_value_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(HelmError, match="additional properties 'replica' not allowed"):
        helm(plane, "template", str(CHART), *settings(replica=2))


def test_prometheus_servers_reach_the_operator(plane: ControlPlane) -> None:
    chosen = {"servers": ["http://one.test:9090", "https://two.test/x"], "secret": "creds", "podLabel": "exported_pod"}
    rendered = helm(
        plane, "template", str(CHART), *settings(prometheus=chosen), "--show-only=templates/deployment.yaml"
    )
    pod = yaml.safe_load(rendered)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    servers = options(container["args"][1:]).prometheus
    assert servers.allowed == ["http://one.test:9090", "https://two.test/x"]
    assert (servers.namespace_label, servers.pod_label) == ("namespace", "exported_pod")
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert str(servers.credentials) == mount["mountPath"]
    assert (mount["name"], volume["secret"]["secretName"]) == (volume["name"], "creds")


def test_install_yaml_applies_as_it_stands(release: tuple[ControlPlane, str]) -> None:
    cluster, _ = release

    cluster.kubectl("apply", "-f", str(ROOT / "charts/install.yaml"))

    again = cluster.kubectl("diff", "-f", str(ROOT / "charts/install.yaml"))
    cluster.kubectl("delete", "namespace", "tuning-system", "--wait=false")
    assert again == ""


def is_served(cluster: Cluster, short_name: str) -> bool:
    crd = cluster.client.get("customresourcedefinitions", "tuningstudies.tuning.study")
    return crd["status"].get("acceptedNames", {}).get("shortNames") == [short_name]
