"""`tuning report` on a study of a real API server, with nothing but a kubeconfig."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.operated import operated_plane, trials
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode
from tuning_operator.cli.exits import BAD_INPUT, SUCCEEDED
from tuning_operator.cli.main import main


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.3, jitter=0.1):
        yield cluster


@pytest.fixture(scope="module")
def namespace(plane: ControlPlane, operator: OperatorProcess) -> str:
    name = plane.new_namespace("report")
    plane.client.create("tuningstudies", a_study("first", trials=12, parallel=4), name)
    wait_for_state(plane, name, "first", "Succeeded")
    return name


def test_a_study_of_a_cluster_has_the_report_of_a_local_one(
    plane: ControlPlane, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.html"
    arguments = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace, "--report", str(path)]
    assert main(["report", "tuningstudy/first", *arguments]) == SUCCEEDED
    assert capsys.readouterr().out == f"{path}\n"
    html = path.read_text()
    study = plane.client.get("tuningstudies", "first", namespace)
    assert '<span class="state succeeded">Succeeded</span>' in html
    assert f"trial {study['status']['best']['number']}<" in html
    assert f"first in namespace {namespace}" in html
    drawn = [json.loads(each) for each in re.findall(r'class="figure">(.*?)</script>', html, re.DOTALL)]
    values = {t["status"]["result"]["values"]["loss"] for t in trials(plane, namespace, "first")}
    assert values <= {value for trace in drawn[0]["data"] for value in _numbers(trace.get("y"))}


def _numbers(values: Any) -> list[float]:
    if isinstance(values, dict):  # plotly packs arrays of numbers
        import base64
        import struct

        data = base64.b64decode(values["bdata"])
        return [*struct.unpack(f"<{len(data) // 8}d", data)]
    return values or []


def test_the_namespace_is_that_of_the_context(
    plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(Path(plane.kubeconfig).read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert main(["report", "--cluster", "first"]) == SUCCEEDED
    assert "<h1>first" in (tmp_path / "first.html").read_text()


def test_a_study_that_is_not_there_is_said(
    plane: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    assert main(["report", "tstudy/none", *arguments]) == BAD_INPUT
    assert '"none" not found; choose the namespace with -n' in capsys.readouterr().err
