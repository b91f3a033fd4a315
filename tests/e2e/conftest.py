"""Tests on a real node: images built from Dockerfiles, run by a kubelet and containerd. They need root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testcluster.realnode import RealCluster

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.node)


@pytest.fixture
def namespace(real_cluster: RealCluster) -> Iterator[str]:
    """A namespace of the test's own, which admits only pods of the restricted pod security level."""
    name = real_cluster.new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    yield name
    real_cluster.client.delete("namespaces", name)


@pytest.fixture(scope="session")
def operator_image(real_cluster: RealCluster) -> str:
    return product_image(real_cluster, "operator")


@pytest.fixture(scope="session")
def trainer_image(real_cluster: RealCluster) -> str:
    """With torch: the first build takes some ten minutes, a later change of code ten seconds."""
    return product_image(real_cluster, "trainer")


def product_image(cluster: RealCluster, target: str) -> str:
    return cluster.image(f"tuning-{target}", dockerfile=ROOT / "Dockerfile", context=ROOT, target=target)
