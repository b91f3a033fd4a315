"""Which checkpoints nobody can need any more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local.builders import a_spec, a_template, a_trial
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Result, Trial
from tuning_operator.local.ledger import Ledger
from tuning_operator.local.retention import kept, parent_of, removable
from tuning_operator.search.types import Suggestion

FIDELITY = {"parameter": "epochs", "min": 1, "max": 9}
STATUS = {"best": {"number": 0}, "front": [{"number": 0}, {"number": 1}]}


def ended(number: int, state: TrialState = TrialState.SUCCEEDED, reason: str = "Completed", **fields: Any) -> Trial:
    return replace(a_trial(number), result=Result(state, reason, **fields))


TRIALS = (
    ended(0),
    ended(1),
    ended(2),
    ended(3, TrialState.STOPPED, "Unpromising"),
    ended(4, TrialState.STOPPED, "NotPromoted"),
    ended(5, TrialState.STOPPED, "TargetReached"),
    ended(6, TrialState.FAILED, "NonZeroExit"),
    a_trial(7),
    replace(a_trial(8, role=Role.FINAL), result=Result(TrialState.SUCCEEDED, "Completed")),
)


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        pytest.param(a_spec(), [], id="without fidelity nothing is removed"),
        pytest.param(a_spec(fidelity=FIDELITY), [2, 3, 4], id="losers, and what is neither best nor on the front"),
        pytest.param(
            a_spec(fidelity=FIDELITY, trial={"template": a_template()}), [3, 4], id="of programs unknown: losers only"
        ),
    ],
)
def test_what_may_go(spec: Any, numbers: list[int]) -> None:
    assert removable(spec, TRIALS, STATUS) == numbers


def test_possible_parents_stay() -> None:
    spec = a_spec(
        fidelity=FIDELITY | {"min": 1}, scheduler={"name": "PBT", "pbt": {"population": 4}}, limits={"trials": 40}
    )
    trials = [ended(number) for number in range(24)]
    waiting = replace(a_trial(24), suggestion=Suggestion({"lr": 0.5}, "PBT", 0, generation=6, parent=5))
    assert removable(spec, [*trials, waiting], {}) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert parent_of(spec, waiting) == 5
    assert parent_of(a_spec(), waiting) is None


def test_artifacts_and_the_curve_stay(tmp_path: Path) -> None:
    trial = ended(3, TrialState.STOPPED, "Unpromising", artifacts={"weights": "out/model.pt", "checkpoint": "c-3.pt"})
    ledger = Ledger(tmp_path)
    directory = ledger.files(3, 0).checkpoint
    (directory / "out").mkdir(parents=True)
    (directory / "cache").mkdir()
    for name in ("out/model.pt", "c-3.pt", "curve.jsonl", "cache/x"):
        (directory / name).write_text("")
    ledger.prune_checkpoint(3, keep=kept(trial))
    assert sorted(path.name for path in directory.iterdir()) == ["curve.jsonl", "out"]
    ledger.prune_checkpoint(4, keep=kept(trial))
