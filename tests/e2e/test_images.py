"""The images as they run: the operator's small, without torch and rights; the trainer's without what no trial uses."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installed import leader
from tests.e2e.pods import restricted
from tests.testcluster.client import eventually
from tests.testcluster.cluster import KubectlError
from tests.testcluster.realnode import RealCluster

OVER_THE_BASE_MB = 250
OVER_TORCH_MB = 500
"""Of the trainer's packages that torch does not bring along."""
MEMORY_MB = 150


def inside(cluster: RealCluster, system: str, *command: str) -> str:
    """The output of a command in the operator's container."""
    return cluster.kubectl("exec", "-n", system, "deploy/tuning-tuning-operator", "--", *command)


def test_the_operator_s_image_is_small(real_cluster: RealCluster, system: str) -> None:
    said = inside(real_cluster, system, "du", "-sm", "/opt")  # everything that we put on the base, but one line

    assert int(said.split()[0]) <= OVER_THE_BASE_MB, said


def test_there_is_no_torch_in_it(real_cluster: RealCluster, system: str) -> None:
    with pytest.raises(KubectlError, match="No module named 'torch'"):
        inside(real_cluster, system, "python", "-c", "import torch")


def test_it_runs_without_rights_on_a_root_that_it_cannot_write(real_cluster: RealCluster, system: str) -> None:
    assert inside(real_cluster, system, "id", "-u").strip() == "65532"
    with pytest.raises(KubectlError, match="Read-only file system"):
        inside(real_cluster, system, "touch", "/tmp/written")


def test_an_operator_with_little_to_do_needs_little_memory(real_cluster: RealCluster, system: str) -> None:
    pod = eventually(lambda: leader(real_cluster, system), what="a leader")
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=5) as answer:
        text = answer.read().decode()

    found = re.search(r"^tuning_operator_process_resident_memory_bytes (\S+)$", text, re.MULTILINE)

    assert found is not None
    assert float(found[1]) <= MEMORY_MB * 1e6


def test_the_trainer_s_image_is_torch_and_little_more(
    real_cluster: RealCluster, namespace: str, trainer_image: str
) -> None:
    held = json.loads(said_by(real_cluster, namespace, trainer_image, "weigh"))

    assert "nvidia-cublas" not in held["others"], "what torch brings along is counted as torch"
    assert {"numpy", "pyarrow", "transformers", "onnxruntime"} <= held["others"].keys()
    assert sum(held["others"].values()) <= OVER_TORCH_MB, sorted(held["others"].items(), key=lambda each: -each[1])[:20]
    assert held["tools"] == [], "nothing to build with"


def test_what_is_left_out_of_it_is_not_missed(real_cluster: RealCluster, namespace: str, trainer_image: str) -> None:
    assert said_by(real_cluster, namespace, trainer_image, "use").strip().endswith("all there")


def said_by(cluster: RealCluster, namespace: str, image: str, script: str) -> str:
    """What a script of tests/e2e/inside prints in a container of the image; it is to end well."""
    text = (Path(__file__).parent / "inside" / f"{script}.py").read_text()
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    pod = restricted("asked", image, command=["python", "-c", text], volumeMounts=mounts)
    pod["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    cluster.client.create("pods", pod, namespace)

    def ended() -> dict[str, Any] | None:
        pod = cluster.client.get("pods", "asked", namespace)
        return pod if pod["status"].get("phase") in ("Succeeded", "Failed") else None

    pod = eventually(ended, timeout=120, what="the end of the script")
    said = cluster.kubectl("logs", "asked", "-n", namespace)
    assert pod["status"]["phase"] == "Succeeded", said
    return said
