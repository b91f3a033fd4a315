"""The CRDs on a real API server: they apply, and its verdict on studies is the one of `tuning check`."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given

from tests.testcluster.client import ApiError, eventually
from tests.testcluster.cluster import Cluster, KubectlError
from tests.unit.api.corpus import Case, a_study, cases, says
from tests.unit.api.random_studies import studies
from tuning_operator.api.load import load_text
from tuning_operator.api.validation import completed, refusals, refused_changes

ROOT = Path(__file__).parents[2]
STUDIES, TRIALS = "tuningstudies", "tuningtrials"
FUZZ_SECONDS = 20
REFUSED = (400, 422)

Object = dict[str, Any]


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Cluster:
    """A cluster with our CRDs, by plain client-side apply."""
    control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "tuningstudies.tuning.study", "--timeout=60s")
    eventually(lambda: control_plane.client.list(STUDIES) is not None, timeout=30)
    return control_plane


def refusal(cluster: Cluster, document: Object, namespace: str) -> str:
    """What the API server says against creating it; empty if it takes it."""
    try:
        cluster.client.create(STUDIES, document, namespace, dry_run=True)
    except ApiError as error:
        assert error.status in REFUSED, error
        return str(error)
    return ""


def test_applying_twice_changes_nothing(cluster: Cluster) -> None:
    assert "configured" not in cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    assert cluster.kubectl("diff", "-f", str(ROOT / "crds"), check=False) == ""


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_one_verdict(cluster: Cluster, case: Case) -> None:
    said = refusal(cluster, case.document, "default")
    assert bool(said) == bool(case.refused), said
    assert says(case.server, said), said


def test_random_studies_get_one_verdict(cluster: Cluster) -> None:
    until = time.monotonic() + FUZZ_SECONDS
    seen: dict[bool, int] = {True: 0, False: 0}

    @hypothesis.settings(
        max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(studies())
    def compare(study: Object) -> None:
        if time.monotonic() > until:
            return
        theirs = refusal(cluster, study, "default")
        ours = refusals(study)
        seen[bool(theirs)] += 1
        told = [str(problem) for problem in ours]
        assert bool(ours) == bool(theirs), f"API server: {theirs}\noffline: {told}\n{json.dumps(study)}"

    compare()
    print(seen)
    assert min(seen.values()) >= 30, seen


def test_the_server_fills_in_the_defaults_of_the_models(cluster: Cluster) -> None:
    for case in cases():
        if not case.refused:
            stored = cluster.client.create(STUDIES, case.document, "default", dry_run=True)
            assert stored["spec"] == completed(case.document)["spec"], case.name


def test_every_problem_of_a_study_is_told_at_once(cluster: Cluster) -> None:
    study = a_study(
        objectives=[{"metric": "acc", "goal": "Maximize", "window": 2}],
        parameters=[{"name": "lr", "float": {"min": 1, "max": 0}}, {"name": "Lr", "choice": [1]}],
        limits={},
        warmStart=[{}],
        trial={},
    )
    said = refusal(cluster, study, "default")
    ours = refusals(study)
    assert len(ours) == 6
    for problem in ours:
        assert problem.path in said
        assert problem.remedy in said, problem


YAML = """\
apiVersion: tuning.study/v1alpha1
kind: TuningStudy
metadata: {name: yaml}
spec:
  objectives: [{metric: acc, goal: Maximize}]
  parameters:
  - name: x
    choice: [1e-4, 1E3, 1.0, .5, +1, 017, 0o17, 0x1f, 0b11, -0b1, 09, 1_000, 1e25, 1e400, 99999999999999999999]
  - name: z
    choice: [yes, Off, y, "y", 2001-01-01, 1:30, inf, 'on', 6h, -, 1.2.3, !!str 1, !!float 1]
  limits: {trials: 1e1}
  trial:
    template: {metadata: &m {labels: {a: b}, annotations: {}}}
    trainer:
      on: [~, null, "null"]
      1: 2
      text: |
        1
      folded: >-
        yes
      merged: {<<: *m, labels: c}
"""


def test_files_are_read_as_kubectl_reads_them(cluster: Cluster, namespace: str) -> None:
    printed = cluster.kubectl("create", "--dry-run=client", "-o", "json", "-n", namespace, "-f", "-", stdin=YAML)
    theirs = json.loads(printed)["spec"]
    (ours,) = load_text(YAML)
    assert ours.value["spec"] | {"parameters": []} == theirs | {"parameters": []}
    for mine, kubectls in zip(ours.value["spec"]["parameters"], theirs["parameters"], strict=True):
        for our, their in zip(mine["choice"], kubectls["choice"], strict=True):
            assert our == their
            assert isinstance(our, bool) == isinstance(their, bool)


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan"])
def test_kubectl_refuses_what_is_no_number(cluster: Cluster, namespace: str, word: str) -> None:
    with pytest.raises(KubectlError, match="unsupported value"):
        cluster.apply(YAML.replace("1e25", word), namespace=namespace)


def test_kubectl_explains_every_field(cluster: Cluster) -> None:
    for path, fragment in {
        "tuningstudies": "A search for good hyperparameters",
        "tstudy.spec.parameters": "Reaches the trial",
        "tstudy.spec.limits.duration": "Longest time from the first trial's start",
        "tstudy.spec.algorithm.name": "ENUM:",
        "tstudy.spec.trial.template.spec": "kubectl explain job.spec",
        "tstudy.status.best": "The best trial so far",
        "ttrial.status.result": "Written once",
    }.items():
        assert fragment in cluster.kubectl("explain", path), path
    assert "<no description>" not in cluster.kubectl("explain", "tuningstudies", "--recursive")


def test_columns_and_short_names(cluster: Cluster, namespace: str) -> None:
    cluster.client.create(STUDIES, a_study(), namespace)
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Progressing",
        "message": "3 of 10 trials ended",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-31T12:00:00Z",
    }
    status = {
        "state": "Running",
        "bestValue": "0.987",
        "counts": {"total": 5, "running": 2, "failed": 1},
        "conditions": [condition],
        "algorithm": {"name": "TPE", "reason": "10 trials"},
    }
    cluster.client.patch(STUDIES, "a-study", {"status": status}, namespace, subresource="status")
    short = cluster.kubectl("get", "tstudy", "-n", namespace).splitlines()
    assert short[0].split() == ["NAME", "STATE", "TRIALS", "RUNNING", "FAILED", "BEST", "AGE"]
    assert short[1].split()[:6] == ["a-study", "Running", "5", "2", "1", "0.987"]
    wide = cluster.kubectl("get", "tuning", "-n", namespace, "-o", "wide")
    for word in ("ALGORITHM", "TPE", "OBJECTIVE", "val_accuracy", "MESSAGE", "3 of 10 trials ended"):
        assert word in wide


def with_status(cluster: Cluster, namespace: str, **counts: int) -> Object:
    cluster.client.create(STUDIES, a_study(), namespace)
    return cluster.client.patch(STUDIES, "a-study", {"status": {"counts": counts}}, namespace, subresource="status")


CHANGES: dict[str, Object] = {
    "objectives": {"objectives": [{"metric": "val_loss", "goal": "Minimize"}]},
    "target": {"objectives": [{"metric": "val_accuracy", "goal": "Maximize", "target": 0.9}]},
    "parameters": {"parameters": [{"name": "lr", "float": {"min": 0.001, "max": 0.2, "scale": "Log"}}]},
    "another parameter": {
        "parameters": [
            {"name": "lr", "float": {"min": 0.001, "max": 0.1, "scale": "Log"}},
            {"name": "x", "choice": [1]},
        ]
    },
    "algorithm": {"algorithm": {"seed": 8}},
    "forbidden": {"forbidden": ["lr > 0.05"]},
    "enqueue": {"enqueue": [{"lr": 0.01}]},
    "scheduler": {"scheduler": {"name": "ASHA"}, "fidelity": {"max": 27}},
    "plateau": {"scheduler": {"plateau": {"steps": 3}}},
    "warm start": {"warmStart": [{"study": "before"}]},
    "replicates": {"trial": {"trainer": {"data": {"name": "digits"}}, "replicates": {"count": 2}}},
    "confirm": {"final": {"confirm": {"top": 2}}},
    "trainer": {"trial": {"trainer": {"data": {"name": "wine"}}}},
    "another name in the trainer": {"trial": {"trainer": {"date": {"name": "digits"}}}},
    "template": {"trial": {"trainer": {"data": {"name": "digits"}}, "template": {"spec": {"a": 1}}}},
    "accelerator": {"trial": {"trainer": {"data": {"name": "digits"}}, "accelerator": {"count": 2}}},
    "metrics": {"metrics": {"port": 1234}},
    "final": {"final": {}},
    "limits": {"limits": {"trials": 11, "parallel": 3, "patience": 2}},
    "suspend": {"suspend": True},
    "retries and timeout": {"trial": {"trainer": {"data": {"name": "digits"}}, "retries": 7, "timeout": "1h"}},
}


COUNTS: list[dict[str, int]] = [{}, {"total": 1, "pending": 1}, {"total": 1, "paused": 1}, {"total": 1, "succeeded": 1}]


@pytest.mark.parametrize("counts", COUNTS, ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_get_one_verdict(cluster: Cluster, namespace: str, change: str, counts: dict[str, int]) -> None:
    stored = with_status(cluster, namespace, **counts)
    new = copy.deepcopy(stored) | {"spec": a_study(**CHANGES[change])["spec"]}
    ours = refused_changes(stored, new)
    try:
        cluster.client.replace(STUDIES, new, namespace)
        theirs = ""
    except ApiError as error:
        theirs = str(error)
    refused = refusals(new)  # in itself, changed or not
    assert bool(ours or refused) == bool(theirs), theirs
    for problem in ours:
        assert f"{problem.path}: Forbidden: {problem.remedy}" in theirs
    free = {"limits", "suspend", "retries and timeout"}
    if counts.get("succeeded") or counts.get("paused"):
        assert bool(ours) == (change not in free)
    if not counts:
        assert not ours


def test_parameters_may_not_change_places(cluster: Cluster, namespace: str) -> None:
    parameters = [{"name": "a", "choice": [1, 2]}, {"name": "b", "choice": [1, 2]}]
    cluster.client.create(STUDIES, a_study(parameters=parameters), namespace)
    cluster.client.patch(STUDIES, "a-study", {"status": {"counts": {"total": 1}}}, namespace, subresource="status")
    with pytest.raises(ApiError, match="parameters cannot change"):
        cluster.client.patch(STUDIES, "a-study", {"spec": {"parameters": parameters[::-1]}}, namespace)


def a_trial() -> Object:
    return {
        "apiVersion": "tuning.study/v1alpha1",
        "kind": "TuningTrial",
        "metadata": {"name": "a-study-0"},
        "spec": {
            "study": "a-study",
            "number": 0,
            "parameters": {"lr": 0.1, "optimizer": "sgd", "nesterov": True},
            "suggestion": {"by": "TPE", "known": 0},
        },
    }


def test_a_trial_is_written_once(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    client.create(TRIALS, a_trial(), namespace)
    for spec in (
        {"parameters": {"lr": 0.2}},
        {"parameters": {"lr": None, "mu": 0.1}},
        {"number": 1},
        {"role": "Final"},
    ):
        with pytest.raises(ApiError, match="a trial's spec never changes"):
            client.patch(TRIALS, "a-study-0", {"spec": spec}, namespace)


def test_a_result_is_written_once(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    client.create(TRIALS, a_trial(), namespace)

    def patch(status: object) -> Object:
        return client.patch(TRIALS, "a-study-0", {"status": status}, namespace, subresource="status")

    patch({"state": "Running", "attempt": 1})
    result = {"state": "Succeeded", "reason": "Completed", "values": {"acc": 0.5}, "metrics": {"acc": 0.5, "loss": 1}}
    patch({"state": "Succeeded", "result": result})
    patch({"state": "Succeeded", "acceleratorSeconds": 3.5})
    for status in (
        {"result": {"values": {"acc": 0.6}}},
        {"result": {"values": {"acc": None, "acd": 0.5}}},
        {"result": {"reason": "TargetReached"}},
        {"result": None},
        None,
    ):
        with pytest.raises(ApiError, match="a recorded result never changes or disappears"):
            patch(status)
    row = cluster.kubectl("get", "ttrial", "-n", namespace).splitlines()[1].split()
    assert row[:5] == ["a-study-0", "a-study", "Succeeded", "0.5", "Completed"]


def test_rungs_and_replicates_are_written_once(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    client.create(TRIALS, a_trial(), namespace)

    def patch(status: object) -> Object:
        return client.patch(TRIALS, "a-study-0", {"status": status}, namespace, subresource="status")

    first = {"budget": 1, "values": {"acc": 0.5}, "infeasible": False, "promoted": True}
    second = {"budget": 3, "values": {"acc": 0.75}, "infeasible": False, "promoted": False}
    worst = {"budget": 9, "infeasible": True}
    patch({"state": "Running", "rungs": [first]})
    patch({"state": "Paused", "attempt": 1, "rungs": [first, second], "replicates": [{"values": {"acc": 1}}]})
    patch({"state": "Pending", "rungs": [first, second | {"promoted": True}]})
    patch({"rungs": [first, second | {"promoted": True}, worst], "replicates": [{"values": {"acc": 1}}, {}]})
    for rungs in (
        [first, second, worst],
        [first, second | {"promoted": True}],
        [first | {"values": {"acc": 0.6}}, second | {"promoted": True}, worst],
        [first | {"values": None}, second | {"promoted": True}, worst],
        [first, second | {"promoted": True}, worst | {"values": {"acc": 0.1}}],
        [],
        None,
    ):
        with pytest.raises(ApiError, match="a recorded rung never changes or disappears"):
            patch({"rungs": rungs})
    for replicates in ([{"values": {"acc": 2}}, {}], [{"values": {"acc": 1}}], None):
        with pytest.raises(ApiError, match="a recorded replicate never changes or disappears"):
            patch({"replicates": replicates})
