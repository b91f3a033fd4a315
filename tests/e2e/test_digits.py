"""The whole product on a real node: images from the Dockerfile, the chart, real torch trials in restricted pods.

One study, looked at from all sides while it runs and after it: it is the slowest test of all.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.installed import leader
from tests.testcluster.client import eventually
from tests.testcluster.realnode import RealCluster

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits-lenet.yaml"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
GOOD = 0.97
"""What ends the study here, so that two cores are soon done; otherwise it is the example as it stands."""
AT_MOST = 40
"""Trials: the seed is of the study's uid too, so each run is another draw, and luck must not decide a test."""
ONE_THREAD = {"containers": [{"name": "trial", "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}]}
"""Merged over the trainer's Job: two trials share two cores."""


class Study:
    """The study under test and what there is of it."""

    def __init__(self, cluster: RealCluster, namespace: str, manifest: dict[str, Any]) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.manifest = manifest
        self.name: str = manifest["metadata"]["name"]

    def kubectl(self, *args: str, stdin: dict[str, Any] | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *args, stdin=stdin)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.client.get("tuningstudies", self.name, self.namespace).get("status", {})
        return status

    def trials(self) -> list[dict[str, Any]]:
        return self.cluster.client.list("tuningtrials", self.namespace)

    def trial_pods(self) -> list[dict[str, Any]]:
        return self.cluster.client.list("pods", self.namespace, labels="tuning.study/study=digits-lenet")


@pytest.fixture(scope="module")
def study(real_cluster: RealCluster, system: str) -> Iterator[Study]:
    namespace = real_cluster.new_namespace("research", labels=RESTRICTED)
    manifest = yaml.safe_load(EXAMPLE.read_text())
    manifest["spec"]["objectives"][0]["target"] = GOOD
    manifest["spec"]["limits"]["trials"] = AT_MOST
    manifest["spec"]["trial"]["template"] = {"spec": {"template": {"spec": ONE_THREAD}}}
    applied = Study(real_cluster, namespace, manifest)
    applied.kubectl("apply", "-f", "-", stdin=manifest)
    yield applied
    real_cluster.client.delete("namespaces", namespace)


def metrics_of(pod: dict[str, Any], port: int) -> str:
    """What a pod says on its own address; empty if it does not answer (yet)."""
    try:
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())
    except (OSError, KeyError):
        return ""


def operator_metrics(cluster: RealCluster, system: str) -> str:
    pod = eventually(lambda: leader(cluster, system), what="a leader")
    return metrics_of(pod, 8080)


def number(text: str, series: str) -> float:
    """The value of one series of an exposition, 0 if it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_running_trial_shows_its_metrics_on_its_own_address(study: Study) -> None:
    def live() -> str | None:
        said = [metrics_of(pod, 9464) for pod in study.trial_pods() if pod["status"]["phase"] == "Running"]
        return next((text for text in said if "tuning_val_accuracy" in text), None)

    text = eventually(live, timeout=120, interval=0.2, what="metrics of a running trial")

    assert number(text, "tuning_step") >= 1
    assert 0 < number(text, "tuning_val_accuracy") <= 1


def test_the_operator_reads_running_trials(study: Study, system: str) -> None:
    series = 'tuning_operator_scrapes_total{outcome="ok",source="Direct"}'

    eventually(
        lambda: number(operator_metrics(study.cluster, system), series) >= 1, timeout=120, interval=0.5, what=series
    )


def test_the_study_finds_good_hyperparameters_and_tests_them_once(study: Study) -> None:
    over = eventually(
        lambda: study.status() if study.status().get("state") in ("Succeeded", "Failed", "Stalled") else None,
        timeout=600,
        interval=1,
        what="the end of the study",
    )

    assert over["state"] == "Succeeded", over
    assert over["best"]["values"]["val_accuracy"] >= GOOD
    assert set(over["best"]["parameters"]) >= {"lr", "optimizer", "batch_size"}
    assert over["final"]["state"] == "Succeeded"
    assert over["final"]["metrics"]["test_accuracy"] >= GOOD - 0.03
    assert {"weights", "safetensors", "onnx", "card", "evaluation"} <= over["final"]["artifacts"].keys()
    finals = [trial for trial in study.trials() if trial["spec"]["role"] == "Final"]
    assert [trial["metadata"]["name"] for trial in finals] == [over["final"]["trial"]]
    tested = [trial for trial in study.trials() if "test_accuracy" in trial["status"]["result"].get("metrics", {})]
    assert tested == finals


def test_kubectl_get_shows_state_counts_and_best(study: Study) -> None:
    header, line = study.kubectl("get", "tstudy").splitlines()
    shown = dict(zip(header.split(), line.split(), strict=True))

    status = study.status()
    assert shown["STATE"] == "Succeeded"
    assert (shown["TRIALS"], shown["RUNNING"]) == (str(status["counts"]["total"]), "0")
    assert shown["BEST"] == status["bestValue"]


def test_every_trial_was_a_restricted_pod_with_one_gpu(study: Study) -> None:
    ended = [trial for trial in study.trials() if trial["status"]["state"] == "Succeeded"]
    pods = [pod for pod in study.trial_pods() if pod["status"]["phase"] == "Succeeded"]

    assert len(pods) == len(ended) >= 2
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert not any(volume["name"].startswith("kube-api-access") for volume in pod["spec"]["volumes"])


def test_nothing_has_drifted_from_the_applied_file(study: Study) -> None:
    assert study.kubectl("diff", "-f", "-", stdin=study.manifest) == ""


def test_deleting_the_study_leaves_nothing(study: Study) -> None:
    study.kubectl("delete", "tstudy", study.name)

    def left() -> list[str]:
        kinds = ("tuningstudies", "tuningtrials", "jobs", "pods")
        return [name for kind in kinds for name in study.cluster.client.list(kind, study.namespace)]

    eventually(lambda: not left(), timeout=60, what="an empty namespace")
