"""Schedulers that pause trials ask a cluster for a place for checkpoints; one machine has it anyway."""

from typing import Any

import pytest

from tests.unit.api.corpus import a_study
from tuning_operator.api.semantics import semantic_problems
from tuning_operator.api.study import StudySpec

ASHA: dict[str, Any] = {"name": "ASHA"}
STOP: dict[str, Any] = {"name": "ASHA", "asha": {"mode": "Stop"}}


def said(scheduler: dict[str, Any], *, local: bool = False, **trial: Any) -> str:
    fields = {"trial": {"trainer": {"data": "digits"}, **trial}, "scheduler": scheduler}
    fidelity = {} if scheduler["name"] == "None" else {"fidelity": {"parameter": "epochs", "max": 27}}
    spec = StudySpec.model_validate(a_study(**fields, **fidelity)["spec"])
    return "\n".join(map(str, semantic_problems(spec, local=local)))


def mounted(volume: dict[str, Any], path: str = "/checkpoint") -> dict[str, Any]:
    container = {"name": "main", "volumeMounts": [{"name": "v", "mountPath": path}]}
    return {"spec": {"template": {"spec": {"containers": [container], "volumes": [{"name": "v", **volume}]}}}}


@pytest.mark.parametrize(
    ("scheduler", "fragment"),
    [
        pytest.param(ASHA, "scheduler ASHA (Hybrid) pauses trials at rungs", id="ASHA"),
        pytest.param({"name": "ASHA", "asha": {"mode": "Pause"}}, "scheduler ASHA (Pause) pauses", id="the paper"),
        pytest.param({"name": "Hyperband"}, "scheduler Hyperband pauses trials at rungs", id="Hyperband"),
        pytest.param({"name": "SuccessiveHalving"}, "scheduler SuccessiveHalving pauses", id="successive halving"),
        pytest.param({"name": "PBT"}, "scheduler PBT copies the checkpoints of good members", id="PBT"),
    ],
)  # fmt: skip
def test_without_a_claim_a_cluster_says_what_to_write(scheduler: dict[str, Any], fragment: str) -> None:
    text = said(scheduler)
    assert text.startswith("spec.trial.checkpoints.claimName: ")
    assert fragment in text
    assert "asha: {mode: Stop}" in text
    assert said(scheduler, local=True) == ""
    assert said(scheduler, checkpoints={"claimName": "c"}) == ""
    assert said(scheduler, template=mounted({"persistentVolumeClaim": {"claimName": "c"}})) == ""


@pytest.mark.parametrize("scheduler", [STOP, {"name": "Median"}, {"name": "None"}], ids=str)
def test_who_pauses_nobody_needs_no_claim(scheduler: dict[str, Any]) -> None:
    assert said(scheduler) == ""


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(mounted({"emptyDir": {}}), id="a volume that goes with the pod"),
        pytest.param(mounted({"persistentVolumeClaim": {"claimName": "c"}}, "/data"), id="somewhere else"),
        pytest.param({"spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}}, id="nothing mounted"),
    ],
)
def test_a_volume_that_does_not_keep_them_is_none(template: dict[str, Any]) -> None:
    assert "claimName" in said(ASHA, template=template)


@pytest.mark.parametrize(
    ("where", "fields"),
    [
        pytest.param(
            "spec.fidelity.parameter", {"fidelity": {"parameter": "epoch", "max": 9}, "scheduler": STOP}, id="a budget"
        ),
        pytest.param(
            "spec.trial.replicates.parameter", {"replicates": {"count": 2, "parameter": "epoch"}}, id="a seed"
        ),
    ],
)  # fmt: skip
def test_a_setting_that_every_trial_gets_must_be_one(where: str, fields: dict[str, Any]) -> None:
    replicates = {key: fields.pop(key) for key in ("replicates",) if key in fields}
    spec = a_study(trial={"trainer": {"data": "digits"}, **replicates}, **fields)["spec"]
    (problem,) = semantic_problems(StudySpec.model_validate(spec))
    assert str(problem) == f"{where}: \"epoch\": is no setting of the trainer, did you mean 'epochs'?"
