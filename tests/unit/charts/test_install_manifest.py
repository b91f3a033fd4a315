"""What can be said of the installation without a cluster and without Helm: install.yaml is rendered from the chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import tuning_operator.cluster
from tuning_operator.cluster.__main__ import options

ROOT = Path(__file__).resolve().parents[3]
RULE_IN_WORDS = re.compile(r"apiGroups: (\[.*?\])\s+resources: (\[.*?\])\s+verbs: (\[.*?\])")

Rules = dict[tuple[str, str], set[str]]


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((ROOT / "charts/install.yaml").read_text()) if each]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(each for each in of_kind(objects, kind) if each["metadata"]["name"] == name)


def verbs_by_resource(rules: list[dict[str, Any]]) -> Rules:
    """(group, resource) -> verbs."""
    granted: Rules = {}
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    return granted


def what_the_operator_says_it_needs() -> Rules:
    found = RULE_IN_WORDS.findall(tuning_operator.cluster.__doc__ or "")
    keys = ("apiGroups", "resources", "verbs")
    return verbs_by_resource([dict(zip(keys, map(yaml.safe_load, words), strict=True)) for words in found])


def test_the_operator_is_granted_exactly_what_its_code_says_that_it_needs(objects: list[dict[str, Any]]) -> None:
    everywhere = named(objects, "ClusterRole", "tuning-operator")
    at_home = named(objects, "Role", "tuning-operator-lease")

    assert verbs_by_resource(everywhere["rules"] + at_home["rules"]) == what_the_operator_says_it_needs()


def test_no_role_has_a_wildcard_or_reaches_secrets_or_what_runs_in_pods(objects: list[dict[str, Any]]) -> None:
    roles = of_kind(objects, "ClusterRole") + of_kind(objects, "Role")
    words = {word for role in roles for rule in role["rules"] for field in rule.values() for word in field}

    assert not words & {"*", "secrets", "pods/exec", "impersonate", "bind", "escalate"}


def test_the_lease_is_the_only_one_that_may_be_taken(objects: list[dict[str, Any]]) -> None:
    rules = named(objects, "Role", "tuning-operator-lease")["rules"]

    unnamed = {verb for rule in rules if "resourceNames" not in rule for verb in rule["verbs"]}
    assert unnamed == {"create"}  # RBAC cannot bind `create` to a name


def test_people_write_studies_and_never_trials_or_a_status(objects: list[dict[str, Any]]) -> None:
    edit = verbs_by_resource(named(objects, "ClusterRole", "tuning-operator-edit")["rules"])

    assert set(edit) == {("tuning.study", "tuningstudies")}


def test_every_crd_is_installed_as_generated_and_kept_at_removal(objects: list[dict[str, Any]]) -> None:
    installed = {each["metadata"]["name"]: each for each in of_kind(objects, "CustomResourceDefinition")}
    generated = {crd["metadata"]["name"]: crd for crd in map(yaml.safe_load, texts(ROOT / "crds"))}

    assert installed.keys() == generated.keys() != set()
    for name, crd in installed.items():
        assert crd["spec"] == generated[name]["spec"]
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_chart_holds_a_copy_of_the_generated_crds() -> None:
    assert texts(ROOT / "charts/tuning-operator/files/crds") == texts(ROOT / "crds")


def test_the_pod_meets_the_level_restricted(objects: list[dict[str, Any]]) -> None:
    pod = named(objects, "Deployment", "tuning-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_operator_understands_the_command_line_that_the_chart_writes(objects: list[dict[str, Any]]) -> None:
    (container,) = named(objects, "Deployment", "tuning-operator")["spec"]["template"]["spec"]["containers"]
    verb, *arguments = container["args"]

    understood = options(arguments)

    assert verb == "operator"
    assert understood.trainer_image == "tuning-operator/trainer:0.1.0"
    assert (understood.lease_namespace, understood.lease_name) == ("tuning-system", "tuning-operator")
    assert understood.metrics_port == container["ports"][0]["containerPort"]


def texts(directory: Path) -> list[str]:
    return [path.read_text() for path in sorted(directory.glob("*.yaml"))]
