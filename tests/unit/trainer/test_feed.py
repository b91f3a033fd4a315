"""Data held beside the device are brought batch by batch, and nothing depends on it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_final, a_session, ran
from tuning_trainer.config import TrainerConfig
from tuning_trainer.data.prepared import Part
from tuning_trainer.engine import feed as module
from tuning_trainer.engine.batches import Batches
from tuning_trainer.engine.feed import AHEAD, feed
from tuning_trial.environment import Objective

OBJECTIVES = (Objective("val_accuracy", True, 3),)


def a_part(count: int, *, resident: bool = False) -> Part:
    numbers = torch.arange(count)
    return Part(inputs=numbers.float()[:, None], targets=numbers, resident=resident)


@pytest.mark.parametrize("size", [4, 1, "full"])
@pytest.mark.parametrize("begin", [0, 1])
def test_batches_are_the_same_wherever_the_data_are_held(size: Any, begin: int) -> None:
    def changed(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + torch.rand_like(x), y

    for epoch in range(3):
        found = []
        for resident in (True, False):
            torch.manual_seed(5)
            batches = Batches(a_part(10, resident=resident), size, seed=3, normalize=lambda x: x * 2, change=changed)
            fetch = batches.epoch(epoch)
            found.append([fetch(position) for position in range(begin, len(batches))])
        for (x, y), (other_x, other_y) in zip(*found, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)


def test_a_failure_is_raised_where_its_batch_would_be() -> None:
    rows = [torch.tensor([0, 1]), torch.tensor([2, 99]), torch.tensor([3])]
    fetch = feed(a_part(4), rows)
    assert fetch(0)[1].tolist() == [0, 1]
    with pytest.raises(IndexError, match="99"):
        fetch(1)
    assert fetch(2)[1].tolist() == [3]


def test_batches_are_made_ahead_in_a_thread_and_no_more_than_some() -> None:
    made: list[int] = []
    threads: set[int] = set()

    def make(position: int) -> tuple[torch.Tensor, torch.Tensor]:
        made.append(position)
        threads.add(threading.get_ident())
        return torch.zeros(1), torch.tensor([position])

    fetch = module._Ahead(make, 10)
    for position in range(10):
        assert fetch(position)[1].item() == position
        assert max(made) <= position + AHEAD
    assert made == list(range(10))
    assert threads.isdisjoint({threading.get_ident()})


def test_a_training_that_ends_leaves_no_thread_behind() -> None:
    fetch = feed(a_part(50), torch.split(torch.arange(50), 5))
    fetch(0)
    (thread,) = (each for each in threading.enumerate() if each.name.startswith("batches"))
    del fetch
    thread.join(10)
    assert not thread.is_alive()


MODELS: dict[str, dict[str, Any]] = {
    "images": {"data": {"name": "digits"}, "augment": {"crop": 1, "mixup": 0.2}, "model": {"name": "cnn", "width": 4}},
    "a table": {"data": {"name": "wine"}, "model": {"name": "mlp"}},
    "with noise for privacy": {
        "data": {"name": "wine"}, "model": {"name": "mlp"}, "privacy": {"noise": 1.0, "reproducible": True},
    },
    "made smaller": {"data": {"name": "digits"}, "model": {"name": "mlp"}, "compress": {"quantize": {"bits": 8}}},
}  # fmt: skip


def held(where: str, model: dict[str, Any]) -> TrainerConfig:
    train = {"epochs": 2, "batch_size": 64}
    return a_config(model | {"train": train, "runtime": {"hold_data_on": where, "threads": 1}})


@pytest.mark.parametrize("what", MODELS)
def test_a_training_is_the_same_wherever_the_data_are_held(what: str) -> None:
    ends = []
    for where in ("device", "host"):
        code, session = ran(held(where, MODELS[what]), a_session(objectives=OBJECTIVES))
        assert code == 0, session.snapshot().error
        ends.append(session.snapshot().final)
    assert ends[0] == ends[1]


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    config = held("host", MODELS["images"])
    code, whole = ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))
    assert code == 0
    codes = []
    for _ in range(20):
        code, pieces = ran(config, a_session(tmp_path / "pieces", stop_after=15, objectives=OBJECTIVES))
        codes.append(code)
        if code == 0:
            break
    assert codes[-1] == 0
    assert len(codes) > 1
    assert pieces.snapshot().final == whole.snapshot().final


def test_the_final_run_tests_and_exports_from_there(tmp_path: Path) -> None:
    code, session = ran(held("host", MODELS["images"]), a_final(tmp_path))
    assert code == 0, session.snapshot().error
    assert "test_accuracy" in session.snapshot().final
