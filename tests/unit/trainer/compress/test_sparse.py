"""Sparse training against the lasso of scikit-learn, and in a training with its other settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import nn

from tests.unit.trainer.builders import a_config, a_trial
from tuning_trainer.compress.sparse import shrink
from tuning_trainer.config import SettingError

MLP: dict[str, Any] = {"model": {"name": "mlp", "width": 16}, "train": {"epochs": 30, "batch_size": 16}}


def test_each_weight_moves_at_its_own_rate_and_stops_at_zero() -> None:
    slow, fast, bias = (nn.Parameter(torch.tensor([[1.0, -0.3, 0.04]])) for _ in range(3))
    optimizer = torch.optim.SGD([{"params": [slow, bias], "lr": 0.1}, {"params": [fast], "lr": 0.4}], lr=1.0)
    shrink([slow, fast], optimizer, penalty=0.5)
    assert slow.tolist() == [pytest.approx([0.95, -0.25, 0.0])]
    assert fast.tolist() == [pytest.approx([0.8, -0.1, 0.0])]
    assert bias.tolist() == [pytest.approx([1.0, -0.3, 0.04])]


@pytest.mark.parametrize("penalty", [0.02, 0.2])
def test_a_linear_model_becomes_the_lasso(penalty: float) -> None:
    config = a_config(
        {"data": "diabetes", "loss": "mse", "optimizer": "sgd"},
        **{
            "model": "linear",
            "lr": 0.1,
            "batch_size": "full",
            "epochs": 800,
            "evaluate_every": 800,
            "prune.l1": penalty,
        },
    )
    trial = a_trial(config)
    trial.train()
    train = trial._data.train
    inputs, targets = train.inputs.double().numpy(), train.targets.double().numpy().ravel()
    reference = Lasso(alpha=penalty / 2, tol=1e-8).fit(inputs, targets)  # half the squares in its loss
    (found,) = (p.detach().double().numpy().ravel() for p in trial.module.parameters() if p.dim() > 1)
    assert (found == 0).tolist() == (reference.coef_ == 0).tolist()
    assert 0 < np.count_nonzero(found) < len(found)
    assert found == pytest.approx(reference.coef_, abs=1e-3)


def test_zeros_are_counted_and_take_no_space() -> None:
    sizes, zeros = [], []
    for penalty in (0.0, 0.1):
        trial = a_trial(a_config(MLP, **{"prune.l1": penalty, "optimizer": "sgd", "momentum": 0.9, "lr": 0.05}))
        trial.train()
        reported = trial._session.snapshot().final
        sizes.append(reported["model_size_mb"])
        zeros.append(reported["parameters"] - reported["nonzero_parameters"])
        assert reported["val_accuracy"] >= 0.9
    assert zeros[0] == 0
    assert zeros[1] > 150  # of 368 weights
    assert sizes[1] < sizes[0]


def test_from_the_stage_of_pruning_on_weights_are_free_again() -> None:
    trial = a_trial(a_config(MLP, **{"prune.l1": 1000.0, "prune.share": 0.1, "prune.epochs": 30}))
    trial.train()
    weights = [p for p in trial.module.parameters() if p.dim() > 1]
    assert sum(int((w == 0).sum()) for w in weights) == round(0.1 * sum(w.numel() for w in weights))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({"ema": 0.9}, ["compress.prune.l1 is 0.1", "train.ema is 0.9"], id="an average"),
        pytest.param(
            {"optimizer": "schedule_free_sgd"}, ["compress.prune.l1", "schedule_free_sgd"], id="an averaging optimiser"
        ),
        pytest.param({"prune.l1": -0.1}, ["compress.prune.l1", "-0.1", "greater than or equal to 0"], id="below zero"),
    ],
)
def test_what_cannot_become_sparse_is_refused(parameters: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        a_trial(a_config(MLP, **{"prune.l1": 0.1} | parameters))
    for word in words:
        assert word in str(refused.value)
