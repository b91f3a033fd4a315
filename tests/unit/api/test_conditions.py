"""CEL over an object: what holds, what does not yet, and that no expression can keep the operator busy."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tuning_operator.api import kinds
from tuning_operator.api.conditions import compile_condition
from tuning_operator.api.expressions import ExpressionError
from tuning_operator.api.study import TrialSpec

DONE = {"status": {"conditions": [{"type": "Completed", "status": "True"}], "succeeded": 2, "ratio": 0.5, "none": None}}


@pytest.mark.parametrize(
    ("text", "raw", "want"),
    [
        pytest.param('object.status.conditions.exists(c, c.type == "Completed")', DONE, True, id="it is there"),
        pytest.param('object.status.conditions.exists(c, c.type == "Failed")', DONE, False, id="another one is not"),
        pytest.param('object.status.conditions.exists(c, c.type == "Failed")', {}, False, id="no status yet"),
        pytest.param("object.status.succeeded == 2 && object.status.ratio > 0.1", DONE, True, id="numbers"),
        pytest.param("object.status.none == null", DONE, True, id="null"),
        pytest.param("has(object.status.failed)", DONE, False, id="whether a field is there"),
        pytest.param("object.status.succeeded", DONE, False, id="a value that is not a condition"),
        pytest.param('object.status.succeeded > "1"', DONE, False, id="values that cannot be compared"),
    ],
)
def test_a_condition_holds_or_does_not(text: str, raw: dict[str, Any], want: bool) -> None:
    assert compile_condition(text).holds(raw) is want


@pytest.mark.parametrize("text", ["object.a.map(x, x + x)", "object.a.filter(x, x > 1).size() > 0", "1", "a ||", "'a'"])
def test_what_could_grow_or_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_condition(text)


def test_loops_in_loops_end() -> None:
    nested = "object.a.all(x, object.a.all(y, object.a.all(z, x + y + z >= 0)))"
    began = time.perf_counter()
    assert not compile_condition(nested).holds({"a": list(range(3000))})
    assert time.perf_counter() - began < 1.0


CONDITIONS = {
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): ({"conditions": [{"type": "Completed", "status": "True"}]},
                                             {"conditions": [{"type": "Failed", "status": "True"}]}),
    ("kubeflow.org/v1", "PyTorchJob"): ({"conditions": [{"type": "Running", "status": "False"},
                                                        {"type": "Succeeded", "status": "True"}]},
                                        {"conditions": [{"type": "Failed", "status": "True"}]}),
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): ({"conditions": [{"type": "Complete", "status": "True"}]},
                                                    {"conditions": [{"type": "Failed", "status": "True"}]}),
    ("ray.io/v1", "RayJob"): ({"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"},
                              {"jobDeploymentStatus": "Failed"}),
}  # fmt: skip


@pytest.mark.parametrize(("version", "kind"), CONDITIONS)
def test_the_known_kinds_end_as_they_publish_it(version: str, kind: str) -> None:
    trial = TrialSpec.model_validate({"template": {"apiVersion": version, "kind": kind, "spec": {}}})
    success, failure = map(compile_condition, kinds.condition_texts(trial))
    done, failed = ({"status": status} for status in CONDITIONS[version, kind])
    assert (success.holds(done), failure.holds(done)) == (True, False)
    assert (success.holds(failed), failure.holds(failed)) == (False, True)
    assert (success.holds({}), failure.holds({})) == (False, False)


@pytest.mark.parametrize(
    ("version", "kind", "spec", "want"),
    [
        pytest.param(
            "jobset.x-k8s.io/v1alpha2", "JobSet",
            {"replicatedJobs": [{"name": "driver"}, {"name": "workers"}]},
            {"jobset.sigs.k8s.io/replicatedjob-name": "driver", "jobset.sigs.k8s.io/job-index": "0"},
            id="the first Job of a JobSet",
        ),
        pytest.param(
            "jobset.x-k8s.io/v1alpha2", "JobSet",
            {"replicatedJobs": [{"name": "a"}], "coordinator": {"replicatedJob": "b", "jobIndex": 1, "podIndex": 2}},
            {"jobset.sigs.k8s.io/replicatedjob-name": "b", "batch.kubernetes.io/job-completion-index": "2"},
            id="its coordinator",
        ),
        pytest.param(
            "kubeflow.org/v1", "PyTorchJob", {"pytorchReplicaSpecs": {"Master": {}, "Worker": {}}},
            {"training.kubeflow.org/replica-type": "master"}, id="the master",
        ),
        pytest.param(
            "kubeflow.org/v1", "PyTorchJob", {"pytorchReplicaSpecs": {"Worker": {}}},
            {"training.kubeflow.org/replica-type": "worker"}, id="the first worker where there is no master",
        ),
    ],
)  # fmt: skip
def test_the_pod_that_reports(version: str, kind: str, spec: dict[str, Any], want: dict[str, str]) -> None:
    trial = TrialSpec.model_validate({"template": {"apiVersion": version, "kind": kind, "spec": spec}})
    assert want.items() <= kinds.primary_labels(trial).items()
    said = trial.model_copy(update={"primary_pod": {"role": "main"}})
    assert kinds.primary_labels(said) == {"role": "main"}
