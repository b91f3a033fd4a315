"""Tests against a real API server; pods run only in the imagination of the fake node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operator_process import OperatorProcess
from tests.testcluster.cluster import Cluster
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="module")
def operator(plane: ControlPlane) -> Iterator[OperatorProcess]:
    """One for all tests of a module, on the plane that the module makes for itself."""
    with OperatorProcess(plane) as process:
        yield process


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A namespace of the test's own; gone, with all that is in it, some time after the test."""
    name = control_plane.new_namespace()
    yield name
    control_plane.client.delete("namespaces", name)


@pytest.fixture
def fake_node(control_plane: Cluster) -> Iterator[FakeNode]:
    """A node on which every pod succeeds after a second. For other behaviour start a FakeNode in the test itself."""
    with FakeNode(control_plane) as node:
        yield node
