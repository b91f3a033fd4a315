"""`tuning check`: what it prints and how it ends."""

import io
import json
from pathlib import Path

import pytest
import yaml

from tests.unit.api.corpus import a_study
from tuning_operator.cli.check import check


def run(*paths: Path, output: str = "text", service_accounts: tuple[str, ...] = ()) -> tuple[int, str]:
    stream = io.StringIO()
    return check(paths, output=output, service_accounts=service_accounts, stream=stream), stream.getvalue()


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(
        """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: tuning.study/v1alpha1
kind: TuningStudy
metadata: {name: bad}
spec:
  objectives: [{metric: acc, goal: Maximise}]
  parameters:
  - name: lr
    float: {min: 1, max: 0}
  trial: {trainer: {data: digits}}
"""
    )
    return path


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(yaml.safe_dump(a_study()))
    assert run(path) == (0, f"{path}: a-study: good\n")


def test_problems_with_their_lines(bad: Path) -> None:
    code, text = run(bad)
    assert code == 2
    assert text.splitlines() == [
        f"{bad}:8: spec.limits.trials: algorithm Auto needs limits.trials; write how many trials there may be at most,"
        " for example trials: 60",
        f"{bad}:9: spec.objectives[0].goal: \"Maximise\": write one of Maximize, Minimize, did you mean 'Maximize'?",
        f"{bad}:12: spec.parameters[0].float.min: parameter lr: min 1 is not below max 0; write a smaller min, or for "
        "a fixed value set it in spec.trial and remove the parameter",
        "3 problems",
    ]


def test_json(bad: Path) -> None:
    code, text = run(bad, output="json")
    found = json.loads(text)
    assert code == 2
    assert (found["good"], found["studies"]) == (False, 1)
    assert found["problems"][2] == {
        "file": str(bad),
        "line": 12,
        "study": "bad",
        "by": "cluster",
        "path": "spec.parameters[0].float.min",
        "value": "",
        "remedy": "parameter lr: min 1 is not below max 0; write a smaller min, or for a fixed value set it in "
        "spec.trial and remove the parameter",
    }


def test_what_only_the_operator_refuses(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(a_study(parameters=[{"name": "lr", "choice": [0.1, 0.1]}])))
    code, text = run(path, output="json")
    assert code == 2
    assert [problem["by"] for problem in json.loads(text)["problems"]] == ["operator"]


def test_a_service_account_that_the_administrator_allows(tmp_path: Path) -> None:
    pod = {"serviceAccountName": "train-gpu"}
    trial = {"trainer": {"data": "digits"}, "template": {"spec": {"template": {"spec": pod}}}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(a_study(trial=trial)))

    code, text = run(path)
    assert (code, 'serviceAccountName: "train-gpu"' in text) == (2, True), text
    assert run(path, service_accounts=("train-*",))[0] == 0


def test_a_folder_is_searched(tmp_path: Path, bad: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.json").write_text(json.dumps(a_study()))
    (tmp_path / "notes.txt").write_text("no study")
    code, text = run(tmp_path)
    assert code == 2
    assert text.endswith("3 problems\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no TuningStudy; write kind: TuningStudy"),
        ("kind: ConfigMap\napiVersion: v1\n", "holds no TuningStudy"),
        ("kind: TuningStudy\n", "apiVersion: write tuning.study/v1alpha1"),
        (
            "apiVersion: tuning.study/v1\nkind: TuningStudy\n",
            'apiVersion: "tuning.study/v1": write tuning.study/v1alpha1',
        ),
        ("apiVersion: tuning.study/v1alpha1\nkind: Study\n", 'kind: "Study": write TuningStudy'),
        ("kind: TuningStudy\nspec: 3\n", "spec: 3: write an object"),
        ("kind: TuningStudy\nmetadata: [a]\n", 'metadata: ["a"]: write an object'),
        ("kind: TuningStudy\nspec: {objectives: 3, parameters: {a: 1}, trial: x, limits: [1]}\n", "spec.limits"),
        ("kind: [\n", "is no YAML"),
    ],
)
def test_files_that_are_hardly_studies(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    code, printed = run(path)
    assert code == 2
    assert says in printed


def test_an_object_read_from_a_cluster_is_good(tmp_path: Path) -> None:
    study = a_study()
    study["metadata"] |= {
        "uid": "x",
        "resourceVersion": "1",
        "managedFields": [],
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    study["status"] = {"state": "Running", "unknown": 1}
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study))
    assert run(path)[0] == 0
