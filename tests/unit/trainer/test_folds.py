"""Cross-validation: the division, statistics that leak nothing, mean and deviation, and going on where it stopped."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.trainer.builders import CPU, a_config, a_final, a_session, a_trial, ran
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.split import Split
from tuning_trainer.data.folds import fold_of
from tuning_trainer.data.parts import prepare
from tuning_trainer.data.split import split

TARGETS = np.array([0] * 33 + [1] * 21 + [2] * 7)


def divided(**settings: Any) -> list[Any]:
    wanted = Split(test=0.2, **settings)
    parts = split(TARGETS, wanted, classes=True)
    return [fold_of(parts, TARGETS, wanted, fold=fold, classes=True) for fold in range(wanted.folds or 0)]


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_each_sample_is_in_one_fold_once_and_in_no_test_part(folds: int) -> None:
    found = divided(folds=folds)
    every = np.concatenate([parts.validation for parts in found])
    assert sorted(every) == sorted(set(range(61)) - set(found[0].test))
    for parts in found:
        assert not set(parts.train) & set(parts.validation)
        assert sorted([*parts.train, *parts.validation]) == sorted(every)
        assert (parts.test == found[0].test).all()


def test_folds_are_stratified_up_to_one_sample() -> None:
    counts = np.array([np.bincount(TARGETS[parts.validation], minlength=3) for parts in divided(folds=5)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    sizes = counts.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


def test_the_division_is_that_of_the_seed_and_a_further_round_is_another() -> None:
    wanted = Split(folds=4)
    parts = split(TARGETS, wanted, classes=True)
    one, same, further = (fold_of(parts, TARGETS, wanted, fold=f, classes=True) for f in (1, 1, 5))
    assert (one.validation == same.validation).all()
    assert set(one.validation) != set(further.validation)


def cross_validated(**parameters: Any) -> TrainerConfig:
    return a_config(**({"data": "wine", "folds": 3, "epochs": 3, "dropout": 0.2} | parameters))


def test_mean_and_deviation_are_those_of_the_folds_trained_alone() -> None:
    together = ran(cross_validated())[1].snapshot().final
    alone = [ran(cross_validated(fold=fold))[1].snapshot().final for fold in range(3)]
    for metric in ("val_accuracy", "val_loss", "val_auc"):
        values = [each[metric] for each in alone]
        assert together[metric] == pytest.approx(statistics.mean(values), rel=1e-12)
        assert together[f"{metric}_std"] == pytest.approx(statistics.stdev(values), rel=1e-9)
    assert together["train_loss"] == pytest.approx(statistics.mean(each["train_loss"] for each in alone))
    assert "val_accuracy_std" not in alone[0]


def test_statistics_are_those_of_each_folds_training_part() -> None:
    config = cross_validated()
    for fold in range(3):
        data = prepare(config.data, final=False, device=CPU, fold=fold)
        torch.testing.assert_close(data.train.inputs.mean(dim=0), torch.zeros(13), atol=1e-5, rtol=0)
        torch.testing.assert_close(data.train.inputs.std(dim=0, correction=0), torch.ones(13), atol=1e-4, rtol=0)
        assert data.validation is not None
        assert float(data.validation.inputs.mean(dim=0).abs().max()) > 0.01


@pytest.mark.parametrize("stop_after", [2, 9, 20, 30])
def test_it_goes_on_bit_by_bit_in_whichever_fold_it_was_stopped(tmp_path: Path, stop_after: int) -> None:
    whole = ran(cross_validated())[1].snapshot()
    session = a_session(tmp_path, stop_after=stop_after)
    assert ran(cross_validated(), session)[0] == 143
    code, resumed = ran(cross_validated(), a_session(tmp_path))
    assert code == 0
    assert resumed.snapshot().final == whole.final


def test_patience_the_best_and_the_plateau_follow_the_mean(tmp_path: Path) -> None:
    settings = {"schedule": {"name": "plateau", "wait": 1}, "export": {"evaluation": "always"}}
    parameters = {"data": "wine", "folds": 3, "epochs": 40, "lr": 0.3, "patience": 4, "restore_best": True}
    code, session = ran(a_config(settings, **parameters), a_session(tmp_path, trial="s-0"))
    report = session.snapshot()
    assert code == 0
    assert report.step < 40
    from tuning_trial.curve import read_lines

    assert report.final["val_loss"] == min(line["val_loss"] for line in read_lines(tmp_path / "curve.jsonl"))


def test_the_curves_are_those_of_all_folds_together(tmp_path: Path) -> None:
    import json

    settings = {"export": {"evaluation": "always"}}
    for data, count in (("wine", 142), ("diabetes", 354)):
        _, session = ran(a_config(settings, data=data, folds=3), a_session(tmp_path / data))
        found = json.loads((tmp_path / data / session.snapshot().artifacts["evaluation"]).read_text())
        assert found["samples"] == count


def test_a_final_run_trains_one_model_on_all_of_it(tmp_path: Path) -> None:
    code, session = ran(cross_validated(), a_final(tmp_path))
    report = session.snapshot()
    assert code == 0
    assert "test_accuracy" in report.final
    assert not any(name.endswith("_std") for name in report.final)


@pytest.mark.parametrize(
    ("settings", "parameters", "words"),
    [
        pytest.param({}, {"fold": 1}, "fold is 1, but folds is not set", id="a fold of none"),
        pytest.param({}, {"data": "iris", "folds": 100, "test": 0.5}, "there are 75 samples", id="more than samples"),
        pytest.param(
            {"export": {"always": True}}, {"folds": 2}, "data.split.folds trains several models", id="exports"
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        code, session = ran(a_config(settings, **parameters))
        error = session.snapshot().error
        assert error is not None
        assert code == 42
        raise SettingError(error.message)


def test_one_fold_has_the_trial_of_one_model() -> None:
    assert a_trial(cross_validated(fold=0)).loop.progress.epoch == 0
