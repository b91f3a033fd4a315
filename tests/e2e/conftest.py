"""Tests on a real node: images built from Dockerfiles, run by a kubelet and containerd. They need root."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installed import RESTRICTED, install, product_image, uninstall
from tests.testcluster.realnode import RealCluster

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
    name = install(real_cluster, operator_image, trainer_image)
    yield name
    uninstall(real_cluster, name)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory of this machine, which every user of a pod may write to."""
    with tempfile.TemporaryDirectory(prefix="tuning-checkpoints-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)
