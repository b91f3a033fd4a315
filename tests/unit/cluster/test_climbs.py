"""Events of a multi-fidelity study: one kind of line for all its pauses, one for all its promotions."""

from __future__ import annotations

import pytest

from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cluster.worker import climbs
from tuning_operator.core.model import Action, RecordAttempt, StopRun, Trial
from tuning_operator.search.types import Suggestion

PENDING, RUNNING, PAUSED = TrialState.PENDING, TrialState.RUNNING, TrialState.PAUSED


def trial(number: int, state: TrialState) -> Trial:
    return Trial(number, Role.SEARCH, Suggestion({}, "Random", 0), created_at=0.0, recorded_state=state)


def record(number: int, state: TrialState) -> RecordAttempt:
    return RecordAttempt(number, state, 1, 0, 0, 0.0, None)


@pytest.mark.parametrize(
    ("actions", "want"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([record(0, PAUSED), StopRun(0, 0, "Paused")], ["TrialsPaused"], id="one pauses"),
        pytest.param([record(0, PAUSED), record(1, PAUSED)], ["TrialsPaused"], id="two pause"),
        pytest.param([record(2, PENDING)], ["TrialsPromoted"], id="one is promoted"),
        pytest.param([record(0, PAUSED), record(2, PENDING)], ["TrialsPaused", "TrialsPromoted"], id="both"),
        pytest.param([record(2, PAUSED), record(0, RUNNING)], [], id="neither is new"),
    ],
)
def test_pauses_and_promotions_are_told_in_the_same_words(actions: list[Action], want: list[str]) -> None:
    ledger = [trial(0, RUNNING), trial(1, RUNNING), trial(2, PAUSED)]
    assert [event.reason for event in climbs(actions, ledger)] == want
