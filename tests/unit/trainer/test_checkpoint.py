"""Checkpoints: whole or absent, of this configuration or refused, the newest that can be read."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import CPU, a_config
from tuning_trainer.artifacts.store import write
from tuning_trainer.config import SettingError
from tuning_trainer.engine.checkpoint import Checkpoints, identity_of


def checkpoints(directory: Path | None, *, keep: int = 2, role: str = "Search", **parameters: Any) -> Checkpoints:
    identity = identity_of(a_config(**parameters), role=role, data={"samples": 3})
    return Checkpoints(directory, identity=identity, keep=keep)


def a_state(value: float = 1.0) -> dict[str, Any]:
    return {"weights": torch.full((1000,), value), "progress": [1, 2, 3]}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    store = checkpoints(tmp_path)
    assert store.load(CPU) is None
    store.save(5, a_state(2.0))
    state = store.load(CPU)
    assert state is not None
    assert torch.equal(state["weights"], a_state(2.0)["weights"])
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000000000005.pt"]


def test_the_newest_are_kept(tmp_path: Path) -> None:
    store = checkpoints(tmp_path, keep=2)
    for step in (1, 9, 10, 100):
        store.save(step, a_state(step))
    assert sorted(int(p.stem[-12:]) for p in tmp_path.iterdir()) == [10, 100]
    state = store.load(CPU)
    assert state is not None
    assert state["weights"][0] == 100


def flip_a_bit(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flip_a_bit, id="one bit"),
        pytest.param(lambda p: p.write_bytes(p.read_bytes()[:3000]), id="cut short"),
        pytest.param(lambda p: p.write_bytes(b""), id="empty"),
        pytest.param(lambda p: torch.save({"other": 1}, p), id="another file of torch's"),
        pytest.param(lambda p: (p.unlink(), p.mkdir()), id="a directory"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    store = checkpoints(tmp_path)
    store.save(1, a_state(1.0))
    newest = store.save(2, a_state(2.0))
    damage(newest)
    state = store.load(CPU)
    assert state is not None
    assert state["weights"][0] == 1
    assert "checkpoint-000000000002.pt cannot be read and is passed over" in capsys.readouterr().err


class Payload:
    """A pickle that would call something."""

    def __reduce__(self) -> Any:
        return print, ("code ran",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = {"format": 1, "identity": {}, "state": Payload()}
    torch.save(body, tmp_path / "checkpoint-000000000001.pt")
    assert checkpoints(tmp_path).load(CPU) is None
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"lr": 0.5}, "optimizer.lr was 0.001 and is 0.5", id="another rate"),
        pytest.param({"optimizer": "sgd"}, "optimizer.name was 'adam' and is 'sgd'", id="another optimiser"),
        pytest.param({"role": "Final"}, "role was 'Search' and is 'Final'", id="another role"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    checkpoints(tmp_path).save(1, a_state())
    with pytest.raises(SettingError) as refused:
        checkpoints(tmp_path, **changed).load(CPU)
    assert words in str(refused.value)
    assert "directory of its own" in str(refused.value)


@pytest.mark.parametrize("changed", [{"epochs": 50}, {"threads": 2}, {"interval": 1.0}, {"compile": True}], ids=str)
def test_what_does_not_change_the_training_may_differ(tmp_path: Path, changed: dict[str, Any]) -> None:
    checkpoints(tmp_path).save(1, a_state())
    assert checkpoints(tmp_path, **changed).load(CPU) is not None


def test_a_full_disk_leaves_the_old_checkpoint_and_no_litter(tmp_path: Path) -> None:
    store = checkpoints(tmp_path)
    store.save(1, a_state(1.0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match=r".+"):
            store.save(2, a_state(2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000000000001.pt"]
    assert store.load(CPU) is not None


def test_without_a_directory_nothing_is_kept() -> None:
    store = checkpoints(None)
    assert store.save(1, a_state()) is None
    assert store.load(CPU) is None


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "f.pt"
    write(path, lambda file: file.write(b"a longer first text"))
    write(path, lambda file: file.write(b"second"))
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]
