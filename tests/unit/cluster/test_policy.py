"""What an administrator allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuning_operator.cluster.policy import Policy, PolicyError, Rules, load, violation


def a_job(labels: dict[str, str] | None = None, **pod: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "registry.example/team/train:1"}]} | pod
    return {"metadata": {"labels": labels or {}}, "spec": {"template": {"spec": pod}}}


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
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_job_breaks_a_rule_or_not(case: str) -> None:
    rules, job, want = CASES[case]
    found = violation(job, Rules.model_validate(rules), namespace="team-a")
    assert (found is None) if want is None else (found is not None and want in found and "'team-a'" in found)


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
