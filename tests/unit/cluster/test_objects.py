"""The object of one attempt where trials are no Jobs: what is put into it, wherever its pods stand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster.builders import a_study
from tuning_operator.api.names import LABEL_KIND, LABEL_TRIAL
from tuning_operator.api.trial import Role
from tuning_operator.cluster.jobs import JobSettings, job_for, owner_reference
from tuning_operator.cluster.objects import PATCH
from tuning_operator.core.model import Trial
from tuning_operator.core.naming import object_name
from tuning_operator.core.templates import TemplateError
from tuning_operator.search.types import Suggestion

Object = dict[str, Any]
OWNER = owner_reference("TuningTrial", name="t", uid="trial-uid")
POD = {"spec": {"containers": [{"name": "main", "image": "x"}, {"name": "side", "image": "y"}]}}


def an_object(version: str, kind: str, spec: Object, **trial: Any) -> Object:
    study = a_study(trial={"template": {"apiVersion": version, "kind": kind, "spec": spec}, **trial})
    made = Trial(3, Role.SEARCH, Suggestion({"lr": 0.01}, "TPE", 0), created_at=0.0)
    return job_for(study, made, attempt=1, owner=OWNER, settings=JobSettings("trainer:1", "operator:1"))


def a_jobset(**trial: Any) -> Object:
    jobs = [{"name": name, "template": {"spec": {"template": POD}}} for name in ("leader", "worker")]
    return an_object("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": jobs}, **trial)


def env_of(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_every_pod_template_gets_labels_and_every_container_the_variables() -> None:
    body = a_jobset(bind=[{"parameter": "lr", "to": "/metadata/annotations/lr"}])
    assert (body["apiVersion"], body["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert body["metadata"]["ownerReferences"] == [OWNER]
    assert body["metadata"]["labels"][LABEL_TRIAL] == "3"
    assert body["metadata"]["annotations"] == {"lr": 0.01}
    for job in body["spec"]["replicatedJobs"]:
        template = job["template"]["spec"]["template"]
        assert {LABEL_KIND: "JobSet", LABEL_TRIAL: "3"}.items() <= template["metadata"]["labels"].items()
        for container in template["spec"]["containers"]:
            assert env_of(container)["TUNING_PARAM_LR"] == "0.01"
            assert env_of(container)["TUNING_ATTEMPT"] == "1"
        first = template["spec"]["containers"][0]
        assert [port["containerPort"] for port in first["ports"]] == [9464]
        assert first["volumeMounts"][0]["mountPath"] == "/checkpoint"
        assert "resources" not in first


def test_controllers_that_are_known_do_not_retry_by_themselves() -> None:
    jobset = a_jobset()["spec"]
    assert jobset["replicatedJobs"][0]["template"]["spec"]["backoffLimit"] == 0
    assert jobset["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    replicas = {"Master": {"template": POD}, "Worker": {"template": POD, "restartPolicy": "ExitCode"}}
    torch = an_object("kubeflow.org/v1", "PyTorchJob", {"pytorchReplicaSpecs": replicas})["spec"]
    assert torch["runPolicy"]["backoffLimit"] == 0
    assert [each["restartPolicy"] for each in torch["pytorchReplicaSpecs"].values()] == ["Never", "ExitCode"]
    ray = an_object("ray.io/v1", "RayJob", {"rayClusterSpec": {"headGroupSpec": {"template": POD}}})["spec"]
    assert ray["shutdownAfterJobFinishes"] is True


def test_a_trainjob_gets_variables_by_its_trainer_and_the_rest_as_a_patch_of_its_runtime() -> None:
    spec = {"runtimeRef": {"name": "torch"}, "trainer": {"env": [{"name": "A", "value": "$(TUNING_PARAM_LR)"}]}}
    body = an_object(
        "trainer.kubeflow.org/v1alpha1", "TrainJob", spec, checkpoints={"claimName": "kept"}
    )["spec"]  # fmt: skip
    assert env_of(body["trainer"])["TUNING_PARAM_LR"] == "0.01"
    assert body["trainer"]["env"][-1]["name"] == "A"
    (patch,) = body["runtimePatches"]
    assert patch["manager"] == PATCH
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    template = job["template"]["spec"]["template"]
    assert (job["name"], template["metadata"]["labels"][LABEL_KIND]) == ("node", "TrainJob")
    assert template["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "kept"}
    (mount,) = template["spec"]["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == "/checkpoint"
    assert mount["subPath"].startswith("digits-")


def test_what_only_looks_like_an_object_is_an_error_of_the_template() -> None:
    with pytest.raises(TemplateError, match="not shaped like a JobSet"):
        an_object("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [{"template": {"spec": []}, "x": POD}]})
    with pytest.raises(TemplateError, match="holds no pod template"):
        an_object("a.example/v1", "Any", {"image": "x"})


@pytest.mark.parametrize(
    ("trial", "attempt"),
    [("digits-3f9a1c-12", 0), ("9-lives-3f9a1c-0", 1), ("a-very-long-name-of-a-study-3f9a1c-999", 12)],
)
def test_names_leave_room_for_what_controllers_add(trial: str, attempt: int) -> None:
    name = object_name(trial, attempt)
    assert len(name) <= 40
    assert name[0].isalpha()
    assert name.endswith(f"-{attempt}")
    assert name != object_name(trial, attempt + 1) != object_name(trial + "0", attempt)
