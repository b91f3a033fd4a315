"""Private training: the algorithm's arithmetic, the account against the formula of the Gaussian mechanism, its end, its
checkpoints, and what it refuses.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_final, a_session, a_trial, ran, the_data
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.data.prepared import Part
from tuning_trainer.privacy.batches import PoissonBatches

ALPHAS = [1 + x / 10 for x in range(1, 100)] + list(range(12, 64))


def private(**parameters: Any) -> TrainerConfig:
    """Logistic regression on iris by full batches, with next to no noise."""
    chosen = {"noise": 1e-9, "clip": 1e3, "reproducible": True, "batch_size": "full", "epochs": 1}
    return a_config(**({"model": "linear", "optimizer": "sgd", "lr": 0.1} | chosen | parameters))


def weights_after_an_epoch(config: TrainerConfig) -> list[torch.Tensor]:
    trial = a_trial(config)
    trial.loop.epoch()
    return [weight.detach().clone() for weight in trial.module.parameters()]


def test_without_clipping_and_noise_it_is_ordinary_training() -> None:
    plain = a_config(model="linear", optimizer="sgd", lr=0.1, batch_size="full", epochs=1)
    for ours, theirs in zip(weights_after_an_epoch(private()), weights_after_an_epoch(plain), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def clipped_by_hand(config: TrainerConfig, clip: float) -> list[torch.Tensor]:
    """w - lr / N * sum over samples of g_i * min(1, clip / |g_i|)."""
    trial, data = a_trial(config), the_data(config)
    weights = list(trial.module.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    for index in range(len(data.train)):
        outputs = trial.module(data.train.inputs[index : index + 1])
        loss = torch.nn.functional.cross_entropy(outputs, data.train.targets[index : index + 1])
        gradients = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        torch._foreach_add_(sums, list(gradients), alpha=min(1.0, clip / norm))
    return [w.detach() - 0.1 * s / len(data.train) for w, s in zip(weights, sums, strict=True)]


@pytest.mark.parametrize("micro_batch", [None, 7], ids=["at once", "in parts"])
def test_each_samples_gradient_is_clipped(micro_batch: int | None) -> None:
    config = private(clip=0.3, micro_batch=micro_batch)
    for ours, wanted in zip(weights_after_an_epoch(config), clipped_by_hand(private(), 0.3), strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-6, rtol=0)


def test_the_noise_has_its_deviation() -> None:
    config = private(data="digits", model="mlp", width=256, noise=5.0, clip=1e-3, lr=1.0)
    before = [weight.detach().clone() for weight in a_trial(config).module.parameters()]
    samples = len(the_data(config).train)
    change = torch.cat([(a - b).flatten() for a, b in zip(weights_after_an_epoch(config), before, strict=True)])
    assert float(change.std()) == pytest.approx(5.0 * 1e-3 / samples, rel=0.02)


@pytest.mark.parametrize(("noise", "epochs"), [(4.0, 1), (2.0, 5), (10.0, 7)])
def test_the_account_of_full_batches_is_that_of_the_gaussian_mechanism(noise: float, epochs: int) -> None:
    """Renyi: alpha / (2 noise^2) a step; to epsilon by Balle et al. (2020), theorem 21."""
    final = ran(private(noise=noise, epochs=epochs))[1].snapshot().final
    delta = 1e-5
    wanted = min(
        epochs * alpha / (2 * noise**2)
        + math.log((alpha - 1) / alpha)
        - (math.log(delta) + math.log(alpha)) / (alpha - 1)
        for alpha in ALPHAS
    )
    assert final["epsilon"] == pytest.approx(wanted, rel=1e-6)


def test_smaller_batches_spend_less() -> None:
    spent = [ran(private(noise=2.0, epochs=2, batch_size=size))[1].snapshot().final["epsilon"] for size in (96, 16)]
    assert spent[1] < spent[0]


def test_it_ends_before_it_would_spend_too_much() -> None:
    report = ran(private(noise=2.0, max_epsilon=6.0, epochs=50))[1].snapshot()
    further = ran(private(noise=2.0, epochs=report.step + 1))[1].snapshot()
    assert report.done
    assert 1 <= report.step < 50
    assert report.final["epsilon"] <= 6.0 < further.final["epsilon"]


def test_without_a_noise_the_budget_is_spent_over_all_epochs() -> None:
    report = ran(private(noise=None, max_epsilon=3.0, epochs=6, batch_size=16))[1].snapshot()
    assert report.step == 6
    assert 2.9 <= report.final["epsilon"] <= 3.0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "schedule_free_adamw"])
def test_a_resumed_training_has_spent_what_it_spent_and_is_the_same_bit_by_bit(tmp_path: Path, optimizer: str) -> None:
    parameters: dict[str, Any] = {"optimizer": optimizer, "noise": 1.0, "clip": 1.0, "epochs": 4, "batch_size": 16}
    whole = ran(private(**parameters))[1].snapshot()
    assert ran(private(**parameters), a_session(tmp_path, stop_after=14))[0] == 143
    assert ran(private(**parameters), a_session(tmp_path))[1].snapshot().final == whole.final


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"], ids=["the same optimiser", "another"])
def test_who_goes_on_from_another_training_has_spent_what_that_one_spent(tmp_path: Path, optimizer: str) -> None:
    parent = ran(private(noise=2.0, epochs=3), a_session(tmp_path / "parent"))[1].snapshot()
    session = a_session(tmp_path / "child", parent_dir=tmp_path / "parent")
    child = ran(private(noise=2.0, epochs=5, optimizer=optimizer), session)[1].snapshot()
    alone = ran(private(noise=2.0, epochs=5))[1].snapshot()
    assert child.final["epsilon"] == alone.final["epsilon"] > parent.final["epsilon"]


def test_weights_that_were_not_private_cannot_become_so(tmp_path: Path) -> None:
    ran(a_config(model="linear", optimizer="sgd", epochs=1), a_session(tmp_path / "parent"))
    session = a_session(tmp_path / "child", parent_dir=tmp_path / "parent")
    error = ran(private(epochs=2), session)[1].snapshot().error
    assert error is not None
    assert "the weights to go on from were trained without it" in error.message


def test_noise_is_drawn_anew_unless_it_is_asked_for() -> None:
    one, other = (ran(private(noise=1.0, clip=1.0, reproducible=False))[1].snapshot().final for _ in range(2))
    assert one["val_loss"] != other["val_loss"]
    assert one["epsilon"] == other["epsilon"]


def test_each_sample_is_drawn_with_the_same_probability() -> None:
    part = Part(torch.arange(200.0)[:, None], torch.zeros(200, dtype=torch.int64))
    batches = PoissonBatches(part, 20, seed=0, normalize=None)
    drawn = [batches.epoch(epoch)(position)[0] for epoch in range(60) for position in range(len(batches))]
    sizes = torch.tensor([float(len(batch)) for batch in drawn])
    assert len(batches) == 10
    assert float(sizes.mean()) == pytest.approx(20, abs=0.6)
    assert float(sizes.var()) == pytest.approx(20 * 0.9, rel=0.15)
    counts = torch.bincount(torch.cat(drawn).flatten().long(), minlength=200)
    assert float(counts.float().mean()) == pytest.approx(60, abs=2)
    assert int(counts.min()) > 30


def test_an_empty_batch_is_a_step_of_noise_alone() -> None:
    assert ran(private(batch_size=1, noise=1.0, clip=1.0, max_epsilon=900.0))[1].snapshot().done


def test_a_private_model_learns_and_is_exported(tmp_path: Path) -> None:
    settings = {"export": {"formats": ["onnx"]}}
    config = a_config(
        settings, data="breast_cancer", model="mlp", norm="layer", noise=1.0, lr=0.01, epochs=8, batch_size=64
    )
    code, session = ran(config, a_final(tmp_path))
    report = session.snapshot()
    assert code == 0, report.error
    assert report.final["test_auc"] >= 0.97
    assert 0 < report.final["epsilon"] < 10
    assert "onnx" in report.artifacts


@pytest.mark.parametrize(
    ("settings", "parameters", "words"),
    [
        pytest.param({}, {"model": "mlp", "norm": "batch"}, "2 (BatchNorm1d), 5 (BatchNorm1d)", id="batch norm"),
        pytest.param({}, {"model": "rnn"}, "cells (LSTM)", id="a recurrent network"),
        pytest.param({}, {"l1": 0.1}, "train.l1 is 0.1; leave it out", id="a penalty on the sum"),
        pytest.param({}, {"clip_norm": 1.0}, "train.clip_norm is 1.0; leave it out", id="another clipping"),
        pytest.param({}, {"mixup": 0.2}, "leave it out (a sample must have a gradient of its own)", id="mixed samples"),
        pytest.param({}, {"precision": "fp16"}, "runtime.precision is 'fp16'", id="scaled gradients"),
        pytest.param(
            {"loss": {"name": "cross_entropy", "class_weights": "balanced"}}, {}, "loss.class_weights", id="weights"
        ),
        pytest.param(
            {},
            {"target_delta": 0.5},
            "privacy.target_delta is 0.5, but there are 90 training",
            id="delta",
        ),
        pytest.param({}, {"folds": 3}, "data.split.folds trains several models", id="folds"),
        pytest.param({}, {"max_epsilon": 0.1, "noise": 0.5}, "the first epoch would spend", id="too little to begin"),
        pytest.param({}, {"max_epsilon": 1e-9, "noise": None}, "which no noise reaches", id="beyond any noise"),
    ],
)
def test_what_cannot_be_private_is_said_before_the_training(
    settings: dict[str, Any], parameters: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"model": "mlp", "noise": 1.0} | parameters
    code, session = ran(a_config(settings, **chosen))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert words in error.message
    assert "epoch 1/" not in capsys.readouterr().out


def test_settings_without_effect_are_refused() -> None:
    with pytest.raises(SettingError, match="privacy has no effect without noise or max_epsilon"):
        a_config(clip=2.0)


def test_a_whole_dump_of_the_settings_is_read_again() -> None:
    for config in (a_config({"data": "iris"}), private(noise=1.0, clip=0.5)):
        assert TrainerConfig.model_validate(config.model_dump(mode="json")) == config
