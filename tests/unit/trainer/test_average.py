"""The moving average of the weights: its formula, where it stands in, and that it survives a stop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran
from tuning_trainer.optim.average import Average
from tuning_trial import exit_codes


def test_it_is_its_formula_with_a_short_memory_at_first() -> None:
    weight = nn.Parameter(torch.tensor([0.0]))
    average = Average([weight], decay=0.5)
    path, wanted = [], 0.0
    for step in range(1, 30):
        weight.data.fill_(float(step))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
        with average.in_place():
            path.append((weight.item(), wanted))
    assert [a for a, _ in path] == pytest.approx([b for _, b in path], rel=1e-5)
    assert weight.item() == 29.0


def test_weights_come_back_when_something_fails_inside() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    average = Average([weight], decay=0.9)
    weight.data.fill_(5.0)
    with pytest.raises(RuntimeError), average.in_place():
        raise RuntimeError
    assert weight.item() == 5.0


def test_it_is_what_a_trial_is_judged_by() -> None:
    trial = a_trial(a_config(ema=0.9, epochs=3))
    trial.train()
    assert trial.loop.average is not None
    validation = trial._data.validation
    assert validation is not None
    judged = trial._evaluate(validation, "val")["val_loss"]
    with trial.loop.average.in_place(), torch.no_grad():
        trial.module.eval()
        inside = trial._evaluate._loss(trial.module(validation.inputs), validation.targets).item()
    own = trial._evaluate._loss(trial.module(validation.inputs), validation.targets).item()
    assert judged == pytest.approx(inside, rel=1e-5)
    assert judged != pytest.approx(own, rel=1e-5)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = a_config(ema=0.95, micro_batch=5, l1=1e-4, epochs=4, optimizer="lion", lr=0.003)
    code, whole = ran(config, a_session(tmp_path / "whole"))
    assert code == exit_codes.DONE
    halves = tmp_path / "halves"
    halves.mkdir()
    assert ran(config, a_session(halves, stop_after=11))[0] == exit_codes.STOPPED
    code, resumed = ran(config, a_session(halves))
    assert code == exit_codes.DONE
    assert resumed.snapshot().final == whole.snapshot().final


def test_a_batch_in_parts_gives_the_step_of_the_whole() -> None:
    weights = []
    for micro in (None, 5, 1):
        torch.manual_seed(3)
        trial = a_trial(a_config(micro_batch=micro, batch_size=16, epochs=1, optimizer="sgd", lr=0.1))
        trial.train()
        weights.append(torch.cat([p.detach().flatten() for p in trial.module.parameters()]))
    assert torch.allclose(weights[0], weights[1], atol=1e-5)
    assert torch.allclose(weights[0], weights[2], atol=1e-5)
