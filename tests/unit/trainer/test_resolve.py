"""How settings and parameters become one configuration, and what is said when they do not."""

from __future__ import annotations

from typing import Any

import pytest

from tuning_trainer.config import SettingError, resolve

DIGITS: dict[str, Any] = {"data": "digits"}


@pytest.mark.parametrize(
    "parameters",
    [{"optimizer.lr": 0.5}, {"lr": 0.5}],
    ids=["by its path", "by its short name"],
)
def test_a_parameter_finds_its_setting(parameters: dict[str, Any]) -> None:
    assert resolve({**DIGITS, "optimizer": {"lr": 0.1}}, parameters).config.optimizer.lr == 0.5


def test_a_whole_number_is_a_number() -> None:
    assert resolve(DIGITS, {"lr": 1}).config.optimizer.lr == 1.0


def test_a_section_written_as_text_is_its_name() -> None:
    config = resolve({"data": "wine", "optimizer": "sgd"}, {"model": "linear"}).config
    assert (config.data.name, config.optimizer.name, config.model.name) == ("wine", "sgd", "linear")


@pytest.mark.parametrize(
    ("parameters", "kept", "left_out"),
    [
        pytest.param({"optimizer": "sgd", "momentum": 0.9, "lr": 1.0}, 0.9, (), id="momentum when sgd"),
        pytest.param({"optimizer": "adam", "lr": 1.0}, None, (), id="without momentum when adam"),
        pytest.param({"optimizer": "adam", "momentum": 0.9, "lr": 1.0}, None, ("optimizer.momentum",), id="left out"),
    ],
)
def test_a_study_of_optimisers_shares_the_rate(
    parameters: dict[str, Any], kept: Any, left_out: tuple[str, ...]
) -> None:
    resolved = resolve(DIGITS, parameters)
    assert resolved.config.optimizer.lr == 1.0
    assert getattr(resolved.config.optimizer, "momentum", None) == kept
    assert resolved.left_out == left_out


def test_settings_of_a_member_that_a_parameter_did_not_choose_are_left_out() -> None:
    settings = {**DIGITS, "optimizer": {"name": "sgd", "momentum": 0.5, "lr": 0.3}}
    resolved = resolve(settings, {"optimizer": "adamw"})
    assert (resolved.config.optimizer.name, resolved.config.optimizer.lr) == ("adamw", 0.3)
    assert resolved.left_out == ("optimizer.momentum",)


@pytest.mark.parametrize(
    ("settings", "parameters", "words"),
    [
        pytest.param({}, {}, ["data is missing", "digits"], id="no data"),
        pytest.param({"data": "digit"}, {}, ["data.name is 'digit'", "did you mean 'digits'"], id="an unknown member"),
        pytest.param({"trian": {}}, {}, ["trian", "did you mean 'train'"], id="an unknown section"),
        pytest.param({"train": {"epoch": 3}}, {}, ["train.epoch (value 3)", "'epochs'"], id="an unknown setting"),
        pytest.param({"train": 3}, {}, ["train is 3", "object"], id="a section that is a number"),
        pytest.param({}, {"lrr": 0.1}, ["'lrr'", "did you mean 'lr'"], id="an unknown parameter"),
        pytest.param({}, {"lr": -1.0}, ["parameter lr (optimizer.lr) is -1.0", "greater than 0"], id="out of bounds"),
        pytest.param({}, {"lr": float("nan")}, ["optimizer.lr", "nan"], id="not a number"),
        pytest.param({}, {"lr": "0.1"}, ["'0.1'", "valid number"], id="a number as text"),
        pytest.param({}, {"epochs": 2.5}, ["train.epochs", "2.5", "valid integer"], id="half an epoch"),
        pytest.param({}, {"epochs": True}, ["train.epochs", "True"], id="a truth as a number"),
        pytest.param({}, {"batch_size": "ful"}, ["'ful'", "valid integer", "'full'"], id="a wrong word"),
        pytest.param({}, {"lr": 1.0, "optimizer.lr": 1.0}, ["'lr'", "'optimizer.lr'", "both set"], id="twice the same"),
        pytest.param(
            {},
            {"momentum": 0.9},
            ["no effect with optimizer adam", "rmsprop, schedule_free_sgd, sgd"],
            id="no effect, parameter",
        ),
        pytest.param(
            {"optimizer": {"momentum": 0.9}}, {}, ["optimizer.momentum is 0.9", "no effect"], id="no effect, setting"
        ),
        pytest.param(
            {"optimizer": {"name": "sgd", "nesterov": True}}, {}, ["nesterov needs a momentum"], id="contradiction"
        ),
        pytest.param({"data": "mnist"}, {}, ["data.path is missing"], id="a setting that must be there"),
        pytest.param({"data": {"split": {"test": 0.1}}}, {}, ["data.name is missing"], id="a choice that is not made"),
        pytest.param({"optimizer": {"name": ["sgd"]}}, {}, ["optimizer.name is ['sgd']"], id="a name that is a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_the_remedy(
    settings: dict[str, Any], parameters: dict[str, Any], words: list[str]
) -> None:
    base = {} if not settings and not parameters else DIGITS
    with pytest.raises(SettingError) as refused:
        resolve({**base, **settings}, parameters)
    for word in words:
        assert word in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingError) as refused:
        resolve(DIGITS, {"lr": -1.0, "epochs": 0})
    assert "lr" in str(refused.value)
    assert "epochs" in str(refused.value)
