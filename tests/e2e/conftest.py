"""Tests on a real node: images built from Dockerfiles, run by a kubelet and containerd. They need root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testcluster.realnode import RealCluster


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
