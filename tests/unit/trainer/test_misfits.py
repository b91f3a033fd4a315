"""What the check of a study refuses together is what the trainer refuses, and it lets pass what can be kept apart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.corpus import a_study
from tests.unit.trainer.builders import a_config, ran
from tuning_operator.api.validation import validate

FREE = {"name": "optimizer", "choice": ["adam", "schedule_free_adamw"]}
FOLDS = {"name": "breast_cancer", "split": {"folds": 3}}
MODEL = {"name": "mlp", "norm": "none"}


def problems(trainer: dict[str, Any], *parameters: dict[str, Any], **trial: Any) -> list[str]:
    document = a_study()
    document["spec"]["parameters"] = [{"name": "lr", "float": {"min": 0.001, "max": 0.1}}, *parameters]
    document["spec"]["trial"] = {"trainer": {"data": "iris"} | trainer} | trial
    return [str(problem) for problem in validate(document).problems]


TOGETHER: list[Any] = [
    pytest.param({"data": FOLDS, "model": MODEL, "privacy": {"noise": 1.0}}, "privacy.noise", id="privacy and folds"),
    pytest.param({"optimizer": "schedule_free_sgd", "schedule": "plateau"}, "schedule.name", id="plateau"),
    pytest.param({"optimizer": "schedule_free_adamw", "schedule": "cosine"}, "schedule.name", id="cosine"),
    pytest.param({"optimizer": "schedule_free_adamw", "train": {"ema": 0.9}}, "train.ema", id="two averages"),
    pytest.param({"data": FOLDS, "export": {"always": True}}, "export.always", id="an export of several models"),
]


@pytest.mark.parametrize(("trainer", "where"), TOGETHER)
def test_settings_that_the_trainer_refuses_together_are_no_good_study(trainer: dict[str, Any], where: str) -> None:
    found = problems(trainer)
    assert len(found) == 1
    assert found[0].startswith(f"spec.trial.trainer.{where}: ")
    code, session = ran(a_config(trainer | {"runtime": {"device": "cpu", "threads": 1}}))
    error = session.snapshot().error
    assert (code, error.reason if error else "") == (42, "InvalidSetting")


@pytest.mark.parametrize(
    ("trainer", "parameters", "words"),
    [
        pytest.param({"schedule": "plateau"}, [FREE], "schedule.name", id="one choice of the optimizer is refused"),
        pytest.param(
            {"optimizer": "schedule_free_sgd"},
            [{"name": "schedule", "choice": ["none", "plateau"]}],
            "spec.parameters[1]",
            id="one choice of the schedule is refused",
        ),
        pytest.param(
            {"data": FOLDS},
            [{"name": "noise", "float": {"min": 0.5, "max": 2.0}}],
            "spec.parameters[1]",
            id="a range of noise with folds",
        ),
        pytest.param({"privacy": {"noise": 1.0}, "runtime": {"processes": 2}}, [], "privacy.noise", id="two processes"),
        pytest.param(
            {"runtime": {"parallel": "fsdp", "channels_last": True}}, [], "channels_last", id="shared-out channels"
        ),
        pytest.param(
            {"runtime": {"parallel": "fsdp"}, "encryption": {"key_file": "k"}}, [], "key_file", id="sealed shares"
        ),
    ],
)
def test_what_some_trials_would_fail_of(trainer: dict[str, Any], parameters: list[dict[str, Any]], words: str) -> None:
    found = problems(trainer, *parameters)
    assert len(found) == 1
    assert words in found[0].split(": ")[0]


def test_what_can_be_kept_apart_or_is_no_misfit_passes() -> None:
    when = [{"parameter": "optimizer", "values": ["adam"]}]
    assert not problems({}, FREE, {"name": "schedule", "choice": ["plateau", "cosine"], "when": when})
    assert not problems({"schedule": "none", "optimizer": "schedule_free_sgd"})
    assert not problems({"data": FOLDS, "train": {"ema": 0.9}})
    one_fold = {"name": "breast_cancer", "split": {"folds": 3, "fold": 1}}
    assert not problems({"data": one_fold, "privacy": {"noise": 1.0}})
    replicates = {"count": 3, "parameter": "fold"}
    assert not problems({"data": FOLDS, "privacy": {"noise": 1.0}}, replicates=replicates)


@pytest.mark.parametrize("name", [{}, [], None, 1])
def test_a_name_that_is_no_word_is_left_to_who_knows_the_names(name: object) -> None:
    assert problems({"optimizer": {"name": name}})
