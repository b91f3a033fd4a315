"""Tests on a real node: images built from Dockerfiles, run by a kubelet and containerd. They need root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helm import CHART, helm, settings
from tests.testcluster.realnode import RealCluster

ROOT = Path(__file__).resolve().parents[2]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
COLD_BUILD = 2400
"""Seconds that a test may take which is the first one to need the trainer's image."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.node)
            if {"system", "trainer_image"} & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.timeout(COLD_BUILD))


@pytest.fixture
def namespace(real_cluster: RealCluster) -> Iterator[str]:
    """A namespace of the test's own, which admits only pods of the restricted pod security level."""
    name = real_cluster.new_namespace(labels=RESTRICTED)
    yield name
    real_cluster.client.delete("namespaces", name)


@pytest.fixture(scope="session")
def operator_image(real_cluster: RealCluster) -> str:
    return product_image(real_cluster, "operator")


@pytest.fixture(scope="session")
def trainer_image(real_cluster: RealCluster) -> str:
    """With torch: the first build takes some ten minutes, a later change of code ten seconds."""
    return product_image(real_cluster, "trainer")


@pytest.fixture(scope="session")
def system(real_cluster: RealCluster, operator_image: str, trainer_image: str) -> Iterator[str]:
    """The namespace that the chart is installed in, for all namespaces: one operator works, and one stands by."""
    name = real_cluster.new_namespace("system", labels=RESTRICTED)
    chosen: dict[str, object] = {"replicas": 2}
    for value, reference in (("image", operator_image), ("trainer__image", trainer_image)):
        repository, _, tag = reference.rpartition(":")
        chosen |= {f"{value}__repository": repository, f"{value}__tag": tag}
    helm(real_cluster, "install", "tuning", str(CHART), "-n", name, "--wait", "--timeout=90s", *settings(**chosen))
    yield name
    helm(real_cluster, "uninstall", "tuning", "-n", name)


def product_image(cluster: RealCluster, target: str) -> str:
    return cluster.image(f"tuning-{target}", dockerfile=ROOT / "Dockerfile", context=ROOT, target=target)
