"""A training that pauses at its rungs, and one that goes on from another's: the same bits, the promised settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_session, ran
from tests.unit.trainer.test_resume import CASES, OBJECTIVES, assert_same
from tuning_trial import Report, Session
from tuning_trial.environment import Fidelity

RUNGS = (1, 3, 9)


def a_fidelity(until: int = 9, rungs: tuple[int, ...] = RUNGS) -> Fidelity:
    return Fidelity(max=9, until=until, rungs=rungs, parameter="epochs")


def a_rung_session(directory: Path, until: int, **fields: Any) -> Session:
    return a_session(directory, fidelity=a_fidelity(until), objectives=OBJECTIVES, **fields)


def paused_at_every_rung(directory: Path, **parameters: Any) -> Report:
    """Trains rung by rung; the last report."""
    for until in RUNGS:
        code, session = ran(a_config(epochs=9, **parameters), a_rung_session(directory, until))
        report = session.snapshot()
        assert (code, report.step, report.done) == (0 if until == 9 else 143, until, until == 9)
        assert sorted(report.rungs) == [rung for rung in RUNGS if rung <= until]
    return report


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_paused_at_every_rung_it_ends_with_the_same_bits(tmp_path: Path, parameters: dict[str, Any]) -> None:
    settings = {**parameters} | ({"patience": 20} if "patience" in parameters else {})
    code, whole = ran(a_config(epochs=9, **settings), a_rung_session(tmp_path / "whole", 9))
    assert code == 0
    report = paused_at_every_rung(tmp_path / "pieces", **settings)
    assert_same(tmp_path / "whole", tmp_path / "pieces")
    assert report == whole.snapshot()


def test_a_rung_is_evaluated_and_saved_whatever_the_intervals_say(tmp_path: Path) -> None:
    config = a_config(epochs=9, evaluate_every=5, keep=9, interval=1000.0)
    code, session = ran(config, a_rung_session(tmp_path, 9))
    assert code == 0
    assert session.snapshot().rungs.keys() == set(RUNGS)
    steps = sorted(int(path.stem.partition("-")[2]) for path in tmp_path.glob("checkpoint-*.pt"))
    a_pass = steps[0]
    assert steps == [a_pass, 3 * a_pass, 9 * a_pass]


def test_a_lost_checkpoint_gives_the_same_values_again(tmp_path: Path) -> None:
    config = a_config(epochs=9, dropout=0.2)
    first = ran(config, a_rung_session(tmp_path / "one", 3))[1].snapshot()
    again = ran(config, a_rung_session(tmp_path / "lost", 9))[1].snapshot()
    assert {rung: again.rungs[rung] for rung in (1, 3)} == first.rungs


def test_started_again_at_its_budget_it_reports_and_stops_without_training(tmp_path: Path) -> None:
    config = a_config(epochs=9)
    first = ran(config, a_rung_session(tmp_path, 3))[1].snapshot()
    code, session = ran(config, a_rung_session(tmp_path, 3))
    assert (code, session.snapshot().rungs) == (143, first.rungs)
    assert session.snapshot().step == 3


def test_a_final_run_trains_to_the_full_budget(tmp_path: Path) -> None:
    code, session = ran(a_config(epochs=9), a_rung_session(tmp_path, 9, role="Final"))
    assert (code, session.snapshot().step, session.snapshot().done) == (0, 9, True)


def a_generation(directory: Path, until: int, parent: Path | None = None, **parameters: Any) -> tuple[int, Session]:
    session = a_session(
        directory, fidelity=a_fidelity(until, (until,)), objectives=OBJECTIVES, parent_dir=parent, trial="t"
    )
    return ran(a_config(epochs=9, **parameters), session)


def test_a_member_that_keeps_its_settings_goes_on_bit_by_bit(tmp_path: Path) -> None:
    parameters = CASES["adam with dropout and batch norm"]
    assert ran(a_config(epochs=9, **parameters), a_session(tmp_path / "whole"))[0] == 0
    codes = []
    for generation, until in enumerate((3, 6, 9)):
        parent = tmp_path / str(generation - 1) if generation else None
        code, session = a_generation(tmp_path / str(generation), until, parent, **parameters)
        codes.append((code, session.snapshot().step))
    assert codes == [(143, 3), (143, 6), (0, 9)]
    assert_same(tmp_path / "whole", tmp_path / "2")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {"optimizer": "sgd", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.1},
            {"optimizer": "sgd", "lr": 0.03, "momentum": 0.9, "weight_decay": 0.0},
            id="settings of the optimiser",
        ),
        pytest.param({"dropout": 0.1, "batch_size": 16}, {"dropout": 0.4, "batch_size": 8}, id="dropout and batches"),
        pytest.param({"optimizer": "adam"}, {"optimizer": "sgd", "lr": 0.1}, id="another optimiser"),
        pytest.param({"optimizer": "muon", "lr": 0.01}, {"optimizer": "muon", "lr": 0.02}, id="two optimisers in one"),
        pytest.param({"schedule": "none"}, {"schedule": "cosine", "seed": 3}, id="the schedule and the seed"),
    ],
)
def test_a_member_goes_on_from_its_parent_with_its_own_settings(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert a_generation(tmp_path / "parent", 3, **before)[0] == 143
    code, session = a_generation(tmp_path / "child", 6, tmp_path / "parent", **after)
    assert (code, session.snapshot().step) == (143, 6)
    state = torch.load(max((tmp_path / "child").glob("checkpoint-*.pt")), weights_only=True)["state"]["loop"]
    assert state["progress"][:2] == [6, 0]
    groups = state["optimizer"].get("param_groups") or state["optimizer"]["both"][0]["param_groups"]
    for name in ("momentum", "weight_decay"):
        if name in after:
            assert groups[0][name] == after[name]
    if "lr" in after:
        assert groups[0]["lr"] == after["lr"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": {"name": "mlp", "width": 32}}, "model.width was 128 and is 32"),
        ({"data": {"name": "iris", "split": {"validation": 0.4}}}, "data.split.validation was 0.2 and is 0.4"),
    ],
    ids=["another model", "other data"],
)
def test_a_parent_of_another_kind_is_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    a_generation(tmp_path / "parent", 3)
    session = a_session(tmp_path / "child", fidelity=a_fidelity(6, (6,)), parent_dir=tmp_path / "parent")
    code, session = ran(a_config(settings, epochs=9), session)
    error = session.snapshot().error
    assert code == 42
    assert error is not None
    assert "is of another model or other data" in error.message
    assert words in error.message


def test_without_a_checkpoint_of_its_parent_it_begins_anew(tmp_path: Path) -> None:
    code, session = a_generation(tmp_path / "child", 6, tmp_path / "absent")
    assert (code, session.snapshot().step) == (143, 6)
