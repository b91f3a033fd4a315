"""Semantics on what no corpus can list: any template and any settings get an answer, never a traceback."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.corpus import a_study
from tuning_operator.api.semantics import semantic_problems
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trainer import for_trainer, known, variable

KEYS = (
    "spec", "template", "metadata", "labels", "containers", "initContainers", "securityContext", "privileged", "env",
    "name", "ports", "hostPort", "volumes", "hostPath", "restartPolicy", "serviceAccountName", "image", "backoffLimit",
    "ttlSecondsAfterFinished", "0",
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-1, 5) | st.sampled_from(("", "a", "default", "Never"))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
)
POINTERS = st.lists(st.sampled_from((*KEYS, "-", "7", "~1")), min_size=1, max_size=7).map(
    lambda parts: "/" + "/".join(parts)
)
SETTINGS = st.dictionaries(
    st.sampled_from((*known()["sections"], *known()["settings"], "a")),
    SCALARS | st.dictionaries(st.sampled_from(("name", "lr", "epochs", "split", "x")), ANYTHING, max_size=3),
    max_size=4,
)


def problems(**trial: Any) -> list[str]:
    spec = StudySpec.model_validate(a_study(trial=trial)["spec"])
    return [str(problem) for problem in semantic_problems(spec)]


@given(st.dictionaries(st.sampled_from(("spec", "metadata")), ANYTHING), st.lists(POINTERS, max_size=2, unique=True))
def test_any_template_gets_an_answer(template: dict[str, Any], pointers: list[str]) -> None:
    before = copy.deepcopy(template)
    binds = [{"parameter": "lr", "to": pointer} for pointer in pointers]
    problems(template=template, bind=binds)
    problems(template={"spec": {"template": {"spec": template}}}, bind=binds)
    problems(template={"spec": {"template": {"spec": {"containers": [template]}}}}, bind=binds, trainer={})
    assert template == before


@given(SETTINGS)
def test_any_settings_get_an_answer(trainer: dict[str, Any]) -> None:
    problems(trainer=trainer)


@pytest.mark.parametrize(("allowed", "good"), [((), False), (("other",), False), (("admin",), True), (("ad*",), True)])
def test_the_administrator_may_allow_service_accounts(allowed: tuple[str, ...], good: bool) -> None:
    template = {"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}}
    spec = StudySpec.model_validate(a_study(trial={"trainer": {"data": "digits"}, "template": template})["spec"])
    assert (semantic_problems(spec, service_accounts=allowed) == []) is good


def test_every_short_name_of_the_trainer_is_known() -> None:
    assert (
        problems(trainer={"data": "digits", "optimizer": {"name": "sgd", "momentum": 0.9}, "train": {"epochs": 2}})
        == []
    )


def test_the_trainer_gets_only_what_it_knows() -> None:
    assert for_trainer({"lr": 0.1, "optimizer.lr": 0.1, "shm": "1Gi"}) == {"lr": 0.1, "optimizer.lr": 0.1}
    assert variable("numa.node-id") == "TUNING_PARAM_NUMA_NODE_ID"
