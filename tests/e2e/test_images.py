"""The operator's image as it runs: small, without torch, without rights."""

from __future__ import annotations

import re
import urllib.request

import pytest

from tests.e2e.installed import leader
from tests.testcluster.client import eventually
from tests.testcluster.cluster import KubectlError
from tests.testcluster.realnode import RealCluster

OVER_THE_BASE_MB = 250
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
