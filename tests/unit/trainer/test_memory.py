"""A batch that does not fit into memory is computed in parts, and the training stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_session, ran
from tests.unit.trainer.limits import Refuses, limit_memory, unlimited
from tests.unit.trainer.test_resume import assert_same, train_in_pieces, weights


@pytest.fixture
def memory() -> Iterator[Callable[[Refuses], None]]:
    """Makes the memory for training passes as small as told."""
    yield limit_memory
    unlimited()


def at_most(samples: int) -> Refuses:
    return lambda count: count > samples


def at_the(n: int) -> Refuses:
    """Runs out in the n-th pass only."""
    passes = iter(range(1, 1_000_000))
    return lambda count: next(passes) == n


PLAIN: dict[str, Any] = {"data": "digits", "model": "lenet", "batch_size": 100}
RANDOM = PLAIN | {"dropout": 0.3, "norm": "batch"}


def test_the_parts_are_halved_until_they_fit(
    tmp_path: Path, memory: Callable[[Refuses], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(a_config(**PLAIN, epochs=2), a_session(tmp_path / "room"))[0] == 0
    memory(at_most(30))
    code, session = ran(a_config(**PLAIN, epochs=2), a_session(tmp_path / "little"))
    assert code == 0
    assert session.snapshot().final["micro_batch"] == 25
    told = [line for line in capsys.readouterr().err.splitlines() if "do not fit into memory" in line]
    assert [line.split("micro_batch ")[1].split(",")[0] for line in told] == ["50", "25"]
    mine, theirs = weights(tmp_path / "little"), weights(tmp_path / "room")
    assert all(torch.allclose(mine[name], theirs[name], atol=2e-4) for name in theirs)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_step_that_is_tried_again_begins_from_an_unchanged_state(
    tmp_path: Path, memory: Callable[[Refuses], None], precision: str
) -> None:
    config = a_config(**RANDOM, precision=precision, epochs=1)
    ran(a_config(**RANDOM, precision=precision, epochs=1, micro_batch=25), a_session(tmp_path / "told"))
    memory(at_most(30))
    assert ran(config, a_session(tmp_path / "found"))[0] == 0
    assert_same(tmp_path / "told", tmp_path / "found")


@pytest.mark.parametrize("n", [1, 7, 11])
def test_memory_that_runs_out_in_the_middle(tmp_path: Path, memory: Callable[[Refuses], None], n: int) -> None:
    ran(a_config(**PLAIN, epochs=1), a_session(tmp_path / "room"))
    memory(at_the(n))
    code, session = ran(a_config(**PLAIN, epochs=1), a_session(tmp_path / "little"))
    assert (code, session.snapshot().final["micro_batch"]) == (0, 50 if n < 11 else 40)
    mine, theirs = weights(tmp_path / "little"), weights(tmp_path / "room")
    assert all(torch.allclose(mine[name], theirs[name], atol=2e-4) for name in theirs)


def test_what_has_not_fitted_is_not_tried_again_after_a_restart(
    tmp_path: Path, memory: Callable[[Refuses], None]
) -> None:
    tried: list[int] = []

    def refuses(count: int) -> bool:
        tried.append(count)
        return count > 30

    memory(refuses)
    config = a_config(**RANDOM, epochs=2)
    ran(config, a_session(tmp_path / "whole"))
    tried.clear()
    assert train_in_pieces(config, tmp_path / "pieces", questions=9)[0] > 2
    assert sorted(size for size in tried if size > 30) == [50, 100]
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_a_sample_that_does_not_fit_ends_the_trial(memory: Callable[[Refuses], None]) -> None:
    memory(at_most(0))
    code, session = ran(a_config())
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (43, "OutOfMemory")
    assert "a smaller batch or model may help" in error.message


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param({"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1}, id="entropy"),
        pytest.param({"name": "focal", "class_weights": "balanced"}, id="focal"),
    ],
)
def test_parts_add_up_to_the_whole_where_classes_are_weighted(tmp_path: Path, loss: dict[str, Any]) -> None:
    settings = {"data": "breast_cancer", "loss": loss, "train": {"epochs": 1, "batch_size": "full"}}
    one = a_config(settings, optimizer="sgd", lr=1.0)
    parts = a_config(settings, optimizer="sgd", lr=1.0, micro_batch=7)
    ran(one, a_session(tmp_path / "one"))
    ran(parts, a_session(tmp_path / "parts"))
    mine, theirs = weights(tmp_path / "parts"), weights(tmp_path / "one")
    assert all(torch.allclose(mine[name], theirs[name], atol=1e-6) for name in theirs)
