"""Fixtures of the tests on a real cluster. What they mean and cost is in tests/testcluster/README.md."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.chaos.record import RECORDABLE
from tests.testcluster import programs
from tests.testcluster.cluster import Cluster, existing_cluster
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.realnode import RealCluster
from tests.testcluster.realnode import prepare as prepare_real_node

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reports to its maker otherwise
CLUSTER_FIXTURES = {"control_plane", "real_cluster"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need before the first one starts: a cold build outlasts the timeout of a test."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if wanted & CLUSTER_FIXTURES:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            try:
                programs.KUBE.path()
                if "real_cluster" in wanted:
                    prepare_real_node()
            except programs.MissingPrerequisiteError as missing:
                pytest.exit(f"the chosen tests need a cluster: {missing}", returncode=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the ends of the components' logs beside a failed test."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    if report.failed:
        for name in CLUSTER_FIXTURES & funcargs.keys():
            report.sections.append((f"logs of {name}", funcargs[name].log_tails(15)))
    return report


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """An API server with the controllers and the scheduler, but no node: ours, or that of KUBECONFIG."""
    if os.environ.get("TUNING_TEST_USE_KUBECONFIG") == "1":
        with tempfile.TemporaryDirectory() as directory:
            yield existing_cluster(Path(directory))
        return
    with ControlPlane() as ours:
        yield ours


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[RealCluster]:
    """A control plane of its own with one real node, which tells all for the chaos on it.

    Waits while another run on this machine uses the node.
    """
    with RealCluster(RECORDABLE) as cluster:
        yield cluster
