"""How many accelerators a trial can hold at most, where a policy counts them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cluster.builders import a_spec, a_study
from tuning_operator.api.study import Accelerator, StudySpec
from tuning_operator.cluster.capping import Cap, Capping
from tuning_operator.cluster.holdings import most_accelerators
from tuning_operator.cluster.policy import Policy, Rules, violation
from tuning_operator.cluster.seen import study_seen
from tuning_operator.cluster.shares import Shares
from tuning_operator.cluster.store import Store
from tuning_operator.core.model import Snapshot

GPU, SLICE = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
LR = {"name": "lr", "float": {"min": 0.001, "max": 0.1}}


def a_template(*limits: dict[str, Any], **pod: Any) -> dict[str, Any]:
    containers = [{"name": f"c{n}", "image": "x", "resources": {"limits": each}} for n, each in enumerate(limits)]
    return {"spec": {"template": {"spec": {"containers": containers or [{"name": "c0", "image": "x"}]} | pod}}}


def init(count: int, **more: Any) -> dict[str, Any]:
    return {"name": "before", "image": "x", "resources": {"limits": {GPU: count}}} | more


def bound(resource: str, values: dict[str, Any], *, of: str = "containers/0") -> dict[str, Any]:
    """A parameter that chooses how many."""
    to = f"/spec/template/spec/{of}/resources/limits/{resource.replace('/', '~1')}"
    return {"parameters": [LR, {"name": "n"} | values], "bind": [{"parameter": "n", "to": to}]}


def a_spec_of(*, count: int, template: dict[str, Any], workers: int = 1, **choice: Any) -> StudySpec:
    trial = {"template": template, "accelerator": {"count": count}, "workers": workers, "bind": choice.get("bind", [])}
    return StudySpec.model_validate(a_spec(parameters=choice.get("parameters", [LR]), trial=trial))


CASES: dict[str, tuple[StudySpec, int]] = {
    "what the study says": (a_spec_of(count=2, template=a_template()), 2),
    "of each of its pods": (a_spec_of(count=2, workers=3, template=a_template()), 6),
    "what stands in the template comes before it": (a_spec_of(count=1, template=a_template({GPU: "8"})), 8),
    "containers beside the first": (a_spec_of(count=1, template=a_template({}, {GPU: 2})), 3),
    "parts of devices": (a_spec_of(count=0, template=a_template({SLICE: 3})), 3),
    "devices of another vendor do not count": (a_spec_of(count=0, template=a_template({"amd.com/gpu": 3})), 0),
    "claims of devices": (a_spec_of(count=0, template=a_template(resourceClaims=[{"name": "a"}, {"name": "b"}])), 2),
    "the most that a range has": (
        a_spec_of(count=1, template=a_template(), **bound(GPU, {"int": {"min": 1, "max": 4}})), 4,
    ),
    "the most of a list": (a_spec_of(count=1, template=a_template(), **bound(GPU, {"choice": ["1", "8", "2"]})), 8),
    "of a part, beside what the study says": (
        a_spec_of(count=1, template=a_template(), **bound(SLICE, {"ordinal": [1, 2]})), 3,
    ),
    "a parameter that is bound to something else": (
        a_spec_of(count=1, template=a_template(), **bound("cpu", {"int": {"min": 1, "max": 4}})), 1,
    ),
    "init containers come one after the other, before the others": (
        a_spec_of(count=2, template=a_template(initContainers=[init(1), init(4), init(3)])), 4,
    ),
    "and no more of them than all others together": (
        a_spec_of(count=2, template=a_template({}, {GPU: 3}, initContainers=[init(4)])), 5,
    ),
    "a sidecar stays beside all that come after it": (
        a_spec_of(count=2, template=a_template(initContainers=[init(1), init(1, restartPolicy="Always"), init(4)])), 5,
    ),
    "the most that a parameter gives an init container": (
        a_spec_of(count=1, template=a_template(), **bound(GPU, {"ordinal": [1, 4]}, of="initContainers/1")), 4,
    ),
    "what is shaped like nothing": (
        a_spec_of(count=1, template={"spec": {"template": {"spec": {
            "containers": ["x", {"resources": "none"}], "initContainers": {}, "resourceClaims": "one",
        }}}}), 1,
    ),
    "a number that is none": (a_spec_of(count=0, template=a_template({GPU: "9" * 5000})), 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_most_that_a_trial_can_hold(case: str) -> None:
    spec, want = CASES[case]
    assert most_accelerators(spec) == want


def test_the_policy_counts_what_a_parameter_can_choose() -> None:
    spec = a_spec_of(count=1, template=a_template(), **bound(GPU, {"int": {"min": 1, "max": 4}}))
    study = replace(a_study(), spec=spec)
    store = Store()
    raw = {"metadata": {"namespace": "ns", "name": "digits", "uid": study.uid, "resourceVersion": "1"}, "spec": {}}
    store.put(study_seen(raw | {"status": {}}))
    known = store.get(("ns", "digits"))
    assert known is not None
    capping = Capping(Shares(Policy.model_validate({"default": {"maxAccelerators": 7}})))
    snapshot = capping.cap(Cap(), known, Snapshot(study))
    assert snapshot.study.spec.limits.parallel == 1, "of seven, each may take four"


@pytest.mark.parametrize(
    ("gpus", "parallelism", "most", "refused"),
    [
        pytest.param(2, 2, 4, False, id="no more than it is counted as"),
        pytest.param(4, 1, 2, True, id="more, as an expression can choose"),
        pytest.param(4, 1, None, False, id="where nobody counts"),
    ],
)
def test_a_job_that_asks_for_more_than_it_is_counted_as_is_refused(
    gpus: int, parallelism: int, most: int | None, refused: bool
) -> None:
    job = a_template({GPU: gpus}) | {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}}
    job["spec"]["parallelism"] = parallelism
    found = violation(job, Rules(), namespace="team-a", accelerator=Accelerator(count=1), most=most)
    assert (found is not None and "spec.trial.accelerator.count: 1: its pods ask for 4" in found) is refused
