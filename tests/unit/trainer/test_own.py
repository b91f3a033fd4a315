"""Models, data and tasks of somebody's own, by a dotted path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tests.unit.trainer.own_code import Poisson
from tests.unit.trainer.test_resume import assert_same, train_in_pieces
from tuning_trainer.config import SettingError, resolve

CODE = "tests.unit.trainer.own_code"


def model(name: str = "perceptron", /, **settings: Any) -> dict[str, Any]:
    return {"model": {"name": "custom", "factory": f"{CODE}:{name}", "settings": settings}}


def data(name: str = "counts", /, **arguments: Any) -> dict[str, Any]:
    return {"data": {"name": "custom", "source": f"{CODE}:{name}", "arguments": arguments}}


def widths(module: nn.Module) -> list[int]:
    return [m.out_features for m in module.modules() if isinstance(m, nn.Linear)]


def test_a_model_of_ones_own_is_trained_and_resumed_like_any_other(tmp_path: Path) -> None:
    config = a_config(model(width=6, depth=2), epochs=6, lr=0.05)
    assert widths(a_trial(config).module) == [6, 6, 3]
    code, session = ran(config, a_session(tmp_path / "whole"))
    assert code == 0
    assert session.snapshot().final["val_accuracy"] > 0.8
    train_in_pieces(config, tmp_path / "pieces", questions=7)
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_its_settings_can_be_parameters_of_a_study() -> None:
    given = {"data": "iris", **model(width=6)}
    config = resolve(given, {"model.settings.depth": 3, "model.settings.width": 5}).config
    assert widths(a_trial(config).module) == [5, 5, 5, 3]
    assert given["model"]["settings"] == {"width": 6}


def test_they_belong_to_a_model_of_ones_own_only() -> None:
    with pytest.raises(SettingError, match=r"model.settings.depth is 3 but has no effect with model mlp"):
        resolve({"data": "iris", "model": "mlp"}, {"model.settings.depth": 3})
    both = resolve({"data": "iris", **model()}, {"model": "mlp", "model.settings.depth": 3})
    assert "model.settings.depth" in both.left_out


def test_data_and_task_of_ones_own_are_split_trained_and_judged() -> None:
    config = a_config({**data(samples=300, slope=0.8), "model": "linear"}, epochs=20, lr=0.03)
    prepared = the_data(config)
    assert isinstance(prepared.task, Poisson)
    assert (len(prepared.train), len(prepared.validation or ())) == (180, 60)
    assert prepared.task.mean == pytest.approx(float(prepared.train.targets.mean()), rel=1e-6)
    code, session = ran(config)
    assert code == 0
    found = session.snapshot().final
    assert found["val_rate"] == 60
    assert found["val_loss"] < 0.9


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a module that is not there": (
        {"model": {"name": "custom", "factory": "no.such:model"}},
        "model.factory is 'no.such:model', but no.such cannot be imported: No module named 'no'; put its package on",
    ),
    "a callable that is not there": (
        model("perceptorn"),
        f"but {CODE} has no perceptorn; did you mean 'perceptron'?",
    ),
    "something that cannot be called": (model("NOT_CALLABLE"), "which is int; it must be a callable"),
    "a setting that it does not take": (
        model(dept=2),
        f"model.settings.dept is no argument of {CODE}:perceptron; did you mean 'depth'?",
    ),
    "what the trainer gives": (model(outputs=2), "model.settings.outputs is given by the trainer; leave it out"),
    "no module": (model("no_module"), f"model.factory '{CODE}:no_module' returned str; return a torch module"),
    "a module without weights": (model("no_weights"), "returned a module without weights to train"),
    "a path without a callable": (
        {"model": {"name": "custom", "factory": "package.module"}},
        "model.factory is 'package.module'; String should match pattern",
    ),
    "data without an argument that it needs": (
        data(),
        "which does not take what it is given: missing a required argument: 'samples'; see data.arguments",
    ),
    "data without samples": (data(samples=0), "returned a source without samples"),
    "classes out of range": (
        data("labelled", targets=[0, 1, 2, 1], classes=["no", "yes"]),
        "returned classes from 0 to 2, but names 2; they must be 0 to 1",
    ),
    "classes that are no whole numbers": (
        data("labelled", targets=[0.0, 1.0, 0.5], classes=["no", "yes"]),
        "returned float64 as classes; they must be whole numbers",
    ),
    "a target that is no number": (data("labelled", targets=["1.0", "nan"]), "targets that are no finite numbers"),
    "targets of several numbers": (data("labelled", targets=[[1.0, 2.0]]), "targets of the shape (1, 2)"),
    "samples that are no numbers": (
        data("labelled", targets=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], gap=True),
        "hold numbers that are not finite",
    ),
    "no source": (data("no_source"), "returned Tensor without targets, classes, learn; return a"),
}


@pytest.mark.parametrize(("settings", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as raised:
        a_trial(a_config(settings))
    assert told in str(raised.value)


def test_a_bug_in_ones_own_code_is_no_setting() -> None:
    with pytest.raises(ZeroDivisionError):
        a_trial(a_config(model("broken")))
