"""fp16 with a scaled loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.trainer.builders import CPU, a_config, a_session, a_trial, ran
from tuning_trainer.engine.scaler import Scaler
from tuning_trainer.optim import build as optimizers


def a_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "lion", "muon"])
@pytest.mark.parametrize("clipped", [False, True])
def test_a_scaled_step_is_the_step(optimizer: str, clipped: bool) -> None:
    mine, plain = a_model(), a_model()
    config = a_config(optimizer=optimizer)
    ours, theirs = optimizers.build(config.optimizer, mine), optimizers.build(config.optimizer, plain)
    scaler = Scaler(ours, CPU)
    for _ in range(3):
        inputs = torch.randn(8, 4)
        scaler.scale(mine(inputs).square().mean()).backward()
        scaler.step((lambda: torch.nn.utils.clip_grad_norm_(mine.parameters(), 0.1)) if clipped else None)
        plain(inputs).square().mean().backward()
        if clipped:
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        theirs.step()
        ours.zero_grad()
        theirs.zero_grad()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(mine.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "lion"])
def test_a_step_that_overflows_is_left_out_and_the_scale_falls(optimizer: str) -> None:
    model = a_model()
    scaler = Scaler(optimizers.build(a_config(optimizer=optimizer).optimizer, model), CPU)
    before = [p.detach().clone() for p in model.parameters()]
    (scaler.scale(model(torch.ones(1, 4)).sum()) * torch.inf).backward()
    scaler.step(None)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert scaler.state()["scale"] == 2.0**15


def test_the_scale_stands_in_the_checkpoint(tmp_path: Path) -> None:
    config = a_config(precision="fp16", epochs=1)
    ran(config, a_session(tmp_path))
    trial = a_trial(a_config(precision="fp16", epochs=2), a_session(tmp_path))
    trial.resume()
    stored = torch.load(max(tmp_path.glob("*.pt")), weights_only=True)["state"]["loop"]["scaler"]
    assert trial.loop.state()["scaler"] == stored
    assert stored["_growth_tracker"] > 0
