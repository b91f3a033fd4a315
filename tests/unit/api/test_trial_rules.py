"""Changes of a trial's record: what stands, stands. The API server's verdicts are in tests/cluster/test_crd.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tuning_operator.api.rule import broken_by_change
from tuning_operator.api.trial_rules import TRIAL_TRANSITIONS

RUNG = {"budget": 1, "values": {"acc": 0.5}, "infeasible": False, "promoted": True}
LATER = {"budget": 3, "values": {"acc": 0.7}, "infeasible": False, "promoted": False}
RUNG_STANDS = "status.rungs: a recorded rung never changes or disappears, except that a trial may be promoted from it"


def trial(**status: Any) -> dict[str, Any]:
    return {"spec": {"number": 1}, "status": copy.deepcopy(status)}


@pytest.mark.parametrize(
    ("rungs", "want"),
    [
        pytest.param([RUNG, LATER], [], id="the same"),
        pytest.param([RUNG, LATER | {"promoted": True}], [], id="promoted from a rung"),
        pytest.param([RUNG, LATER, {"budget": 9}], [], id="a further rung"),
        pytest.param([RUNG | {"promoted": False}, LATER], [RUNG_STANDS], id="not promoted any more"),
        pytest.param([RUNG | {"values": {"acc": 0.6}}, LATER], [RUNG_STANDS], id="another value"),
        pytest.param([RUNG | {"infeasible": True}, LATER], [RUNG_STANDS], id="infeasible now"),
        pytest.param([RUNG], [RUNG_STANDS], id="a rung less"),
        pytest.param([], [RUNG_STANDS], id="no rungs"),
        pytest.param([RUNG, LATER | {"budget": 4}], [RUNG_STANDS], id="another budget"),
    ],
)
def test_a_rung_stands(rungs: list[dict[str, Any]], want: list[str]) -> None:
    problems = broken_by_change(TRIAL_TRANSITIONS, trial(rungs=[RUNG, LATER]), trial(rungs=rungs))
    assert [str(problem) for problem in problems] == want


@pytest.mark.parametrize(
    ("replicates", "holds"),
    [
        pytest.param([{"values": {"acc": 0.5}}, {"values": {"acc": 0.6}}], True, id="a further one"),
        pytest.param([{"values": {"acc": 0.6}}], False, id="another value"),
        pytest.param([], False, id="none any more"),
    ],
)
def test_a_replicate_stands(replicates: list[dict[str, Any]], holds: bool) -> None:
    old = trial(replicates=[{"values": {"acc": 0.5}}])
    assert (not broken_by_change(TRIAL_TRANSITIONS, old, trial(replicates=replicates))) is holds
