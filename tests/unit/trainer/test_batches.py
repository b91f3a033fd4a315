"""The batches of an epoch: every sample once, in an order that depends on seed and epoch alone."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tuning_trainer.data.prepared import Part
from tuning_trainer.engine import batches as module
from tuning_trainer.engine.batches import Batches, batch_sizes


def a_part(count: int) -> Part:
    numbers = torch.arange(count)
    return Part(inputs=numbers.float()[:, None], targets=numbers)


@given(count=st.integers(1, 300), size=st.integers(1, 320) | st.just("full"))
def test_sizes_add_up_and_no_sample_is_left_alone(count: int, size: int | Literal["full"]) -> None:
    sizes = batch_sizes(count, size)
    assert sum(sizes) == count
    assert len(set(sizes[:-1])) <= 1
    assert size == 1 or count == 1 or min(sizes) > 1


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(4, [4, 4, 2]), (3, [3, 3, 4]), (1, [1] * 10), (100, [10]), ("full", [10])],
    ids=["a smaller last one", "a lone one joins", "one by one", "more than there are", "full"],
)
def test_sizes(size: int | Literal["full"], sizes: list[int]) -> None:
    assert batch_sizes(10, size) == sizes


@pytest.mark.parametrize("gathered", [False, True], ids=["in order once an epoch", "batch by batch"])
def test_an_epoch_has_every_sample_once(monkeypatch: pytest.MonkeyPatch, gathered: bool) -> None:
    if gathered:
        monkeypatch.setattr(module, "GATHER_BYTES", 0)
    batches = Batches(a_part(10), 4, seed=3, normalize=None)
    fetch = batches.epoch(0)
    pairs = [fetch(i) for i in range(len(batches))]
    assert [len(x) for x, _ in pairs] == batches.sizes
    assert all(torch.equal(x[:, 0].long(), y) for x, y in pairs)
    assert sorted(torch.cat([y for _, y in pairs]).tolist()) == list(range(10))


def order(seed: int, epoch: int) -> list[int]:
    batches = Batches(a_part(50), 8, seed=seed, normalize=None)
    fetch = batches.epoch(epoch)
    return [v for i in range(len(batches)) for v in fetch(i)[1].tolist()]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    one = order(0, 0)
    torch.manual_seed(2)
    assert order(0, 0) == one
    assert order(0, 1) != one
    assert order(1, 0) != one


def test_batches_are_normalised_on_the_way() -> None:
    batches = Batches(a_part(6), "full", seed=0, normalize=lambda x: x * 10)
    assert batches.epoch(0)(0)[0][:, 0].tolist() == [0, 10, 20, 30, 40, 50]
