"""Deterministic training: the same bits each time, also after a stop, and a plain word where that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config, a_session, ran
from tests.unit.trainer.test_resume import assert_same, train_in_pieces
from tuning_trainer import models
from tuning_trainer.config import TrainerConfig


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def a_deterministic() -> TrainerConfig:
    return a_config(
        data="digits", model="lenet", norm="batch", dropout=0.2, batch_size=300, deterministic=True, epochs=2
    )


def test_two_runs_and_one_in_pieces_have_the_same_bits(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert ran(a_deterministic(), a_session(tmp_path / name))[0] == 0
    assert train_in_pieces(a_deterministic(), tmp_path / "pieces", questions=4)[0] > 1
    assert_same(tmp_path / "one", tmp_path / "two")
    assert_same(tmp_path / "one", tmp_path / "pieces")


def test_an_operation_that_is_not_deterministic_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    build = models.build

    def built(*args: object, **named: object) -> nn.Module:
        module = build(*args, **named)  # type: ignore[arg-type]

        def scatter(*_: object) -> None:
            torch.zeros(3).put_(torch.tensor([0]), torch.ones(1), accumulate=False)

        module.register_forward_hook(scatter)
        return module

    monkeypatch.setattr(models, "build", built)
    code, session = ran(a_deterministic())
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert error.message.startswith("runtime.deterministic is true, but put_")
    assert error.message.endswith("set it to false, or use another model or loss")
