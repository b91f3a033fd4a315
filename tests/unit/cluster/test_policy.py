"""What an administrator allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuning_operator.api.study import Accelerator
from tuning_operator.cluster.policy import Policy, PolicyError, Rules, load, violation


def a_job(labels: dict[str, str] | None = None, **pod: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "registry.example/team/train:1"}]} | pod
    body = {"metadata": {"labels": labels or {}}, "spec": {"template": {"spec": pod}}}
    return {"apiVersion": "batch/v1", "kind": "Job"} | body


JOBSET, RAY, TRAIN, OTHER = (
    "JobSet.jobset.x-k8s.io",
    "RayJob.ray.io",
    "TrainJob.trainer.kubeflow.org",
    "Any.a.example",
)
VERSIONS = {JOBSET: "v1alpha2", RAY: "v1", TRAIN: "v1alpha1", OTHER: "v1"}


def an_object(full: str, spec: dict[str, Any]) -> dict[str, Any]:
    kind, _, group = full.partition(".")
    return {"apiVersion": f"{group}/{VERSIONS[full]}", "kind": kind, "metadata": {}, "spec": spec}


def a_jobset(*, replicas: Any = 1, parallelism: Any = 1, gpus: int = 0, **pod: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example/team/train:1"}
    if gpus:
        container |= {"resources": {"limits": {"nvidia.com/gpu": gpus}}}
    job = {"parallelism": parallelism, "template": {"spec": {"containers": [container]} | pod}}
    return an_object(JOBSET, {"replicatedJobs": [{"name": "w", "replicas": replicas, "template": {"spec": job}}]})


def a_rayjob(*, gpus: int, **group: Any) -> dict[str, Any]:
    limits = {"resources": {"limits": {"nvidia.com/gpu": gpus}}}
    pod = {"spec": {"containers": [{"name": "ray", "image": "registry.example/ray:1"} | limits]}}
    workers = [{"groupName": "w", "template": pod} | group]
    return an_object(RAY, {"rayClusterSpec": {"headGroupSpec": {"template": pod}, "workerGroupSpecs": workers}})


def main(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "main", "image": "registry.example/team/train:1"} | fields]


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "without rules anything goes": ({}, a_job(volumes=[{"name": "v", "secret": {}}]), None),
    "an image that matches": ({"images": ["registry.example/team/*"]}, a_job(), None),
    "an image of another registry": (
        {"images": ["registry.example/*"]}, a_job(containers=main(image="other/x")), "'other/x'",
    ),
    "an init container's image counts as well": (
        {"images": ["registry.example/*"]}, a_job(initContainers=[{"name": "i", "image": "other/y"}]), "'other/y'",
    ),
    "a kind of volume": (
        {"volumes": ["emptyDir", "persistentVolumeClaim"]}, a_job(volumes=[{"name": "v", "secret": {}}]), "'secret'",
    ),
    "no queue where one is wanted": ({"queues": ["team-a"]}, a_job(), "'none'"),
    "the queue that is wanted": ({"queues": ["team-a"]}, a_job({"kueue.x-k8s.io/queue-name": "team-a"}), None),
    "a JobSet that is all written out": ({"images": ["registry.example/*"]}, a_jobset(), None),
    "an image deep in a JobSet": ({"images": ["other/*"]}, a_jobset(), "'registry.example/team/train:1'"),
    "a volume in it": ({"volumes": ["emptyDir"]}, a_jobset(volumes=[{"name": "v", "nfs": {}}]), "'nfs'"),
    "a kind that is not among the named ones": ({"kinds": ["RayJob.*"]}, a_jobset(), "'JobSet.jobset.x-k8s.io'"),
    "a kind that is": ({"kinds": ["JobSet.*"]}, a_jobset(), None),
    "a runtime's pods cannot be judged": (
        {"images": ["*"]}, an_object(TRAIN, {"runtimeRef": {"name": "torch"}}), "'TrainJob.trainer.kubeflow.org'",
    ),
    "a runtime that the administrator trusts": (
        {"images": ["a/*"], "kinds": ["TrainJob.*"]}, an_object(TRAIN, {"trainer": {"image": "a/b"}}), None,
    ),
    "the image that it gives to the runtime is looked at": (
        {"images": ["a/*"], "kinds": ["TrainJob.*"]}, an_object(TRAIN, {"trainer": {"image": "c/b"}}), "'c/b'",
    ),
    "a Ray cluster that is there already": (
        {"volumes": ["*"]}, an_object(RAY, {"clusterSelector": {"ray.io/cluster": "big"}}), "'RayJob.ray.io'",
    ),
    "an unknown kind under rules for pods": ({"volumes": ["*"]}, an_object(OTHER, {}), "'Any.a.example'"),
    "an unknown kind without rules": ({}, an_object(OTHER, {}), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_job_breaks_a_rule_or_not(case: str) -> None:
    rules, job, want = CASES[case]
    accelerator = Accelerator(count=0)
    found = violation(job, Rules.model_validate(rules), namespace="team-a", accelerator=accelerator, most=None)
    assert (found is None) if want is None else (found is not None and want in found and "'team-a'" in found)


@pytest.mark.parametrize(
    ("body", "count", "held"),
    [
        pytest.param(a_jobset(gpus=2, replicas=3, parallelism=2), 12, None, id="all that its pods ask for is declared"),
        pytest.param(a_jobset(gpus=2, replicas=3, parallelism=2), 11, "12", id="less is declared than they ask for"),
        pytest.param(a_jobset(gpus=1, replicas="many"), 99, "an unknown number", id="a number that is none"),
        pytest.param(a_rayjob(gpus=4, replicas=1, maxReplicas=3), 16, None, id="a head and the most workers"),
        pytest.param(a_rayjob(gpus=4, replicas=1, maxReplicas=3), 8, "16", id="workers that come later count"),
        pytest.param(a_rayjob(gpus=1, replicas=2, numOfHosts=4), 8, "9", id="a worker of several hosts"),
        pytest.param(an_object(OTHER, {}), 0, "makes pods that are not written", id="a kind that nobody can count"),
    ],
)
def test_accelerators_that_are_counted_are_of_all_pods(body: dict[str, Any], count: int, held: str | None) -> None:
    found = violation(body, Rules(), namespace="team-a", accelerator=Accelerator(count=count), most=count)
    assert (found is None) if held is None else (found is not None and held in found)


def test_a_namespace_changes_single_fields_of_the_default() -> None:
    policy = Policy.model_validate(
        {
            "default": {"volumes": ["emptyDir"], "maxParallel": 4},
            "namespaces": {"big": {"maxParallel": 32, "images": ["a/*"]}},
        }
    )
    assert policy.of("other") == policy.default
    big = policy.of("big")
    assert (big.volumes, big.max_parallel, big.images) == (["emptyDir"], 32, ["a/*"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("default: {image: [a]}", "default.image", id="an unknown field"),
        pytest.param("default: {maxParallel: 0}", "default.maxParallel", id="a number that allows nothing"),
        pytest.param("default: [", "is not YAML", id="no YAML"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=words):
        load(path)


def test_an_empty_file_allows_anything(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("")
    assert load(path) == Policy()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "none.yaml")
