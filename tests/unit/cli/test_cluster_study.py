"""What `tuning report` says where no cluster can be read; tests/cluster reads a real one."""

import sys
from pathlib import Path

import pytest

from tuning_operator.cli.cluster_study import name_of
from tuning_operator.cli.exits import BAD_INPUT
from tuning_operator.cli.main import main


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param("tuningstudy/digits", "digits", id="the kind"),
        pytest.param("tuningstudies/digits", "digits", id="the plural"),
        pytest.param("tstudy/digits", "digits", id="the short name"),
        pytest.param("tuningstudies.tuning.study/digits", "digits", id="with the group"),
        pytest.param("digits.yaml", None, id="a file"),
        pytest.param(".tuning/digits", None, id="a folder"),
        pytest.param("tuningstudy", None, id="no name"),
    ],
)
def test_a_study_of_a_cluster_is_named_as_kubectl_does(place: str, name: str | None) -> None:
    assert name_of(Path(place)) == name


def test_a_folder_of_that_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tstudy/digits").mkdir(parents=True)
    assert name_of(Path("tstudy/digits")) is None


def test_without_the_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [each for each in sys.modules if each.startswith("tuning_operator.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kubernetes.aio.client.configuration", None)
    assert main(["report", "tuningstudy/digits"]) == BAD_INPUT
    assert "pip install 'tuning-operator[operator]'" in capsys.readouterr().err


def test_without_a_kubeconfig_it_says_what_to_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--kubeconfig", str(tmp_path / "none")]
    assert main(["report", "--cluster", "digits", *arguments]) == BAD_INPUT
    assert "name a kubeconfig with --kubeconfig or $KUBECONFIG" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
    )
    assert main(["report", "--cluster", "digits", "--kubeconfig", str(config)]) == BAD_INPUT
    assert "digits: Unreachable" in capsys.readouterr().err
