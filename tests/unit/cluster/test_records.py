"""What is written of a trial is read back as it was: the ledger is the only memory."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.cluster.builders import UID, a_study
from tuning_operator.api.trial import Role, TrialState, TuningTrialSpec, TuningTrialStatus
from tuning_operator.cluster.records import attempt_status, result_status, trial_body
from tuning_operator.cluster.seen import trial_seen
from tuning_operator.core.model import CreateTrial, RecordAttempt, RecordResult, Replicate, Result, Rung, Trial
from tuning_operator.search.types import Suggestion

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
VALUES = st.dictionaries(st.sampled_from(["loss", "val_accuracy", "size_mb"]), NUMBERS, max_size=3)
COUNTS = st.integers(0, 1000)
SECONDS = st.integers(1, 2**31).map(float)
SUGGESTIONS = st.builds(
    Suggestion,
    parameters=st.just({"lr": 0.01, "optimizer": "adam"}),
    by=st.sampled_from(["TPE", "PBT"]),
    known=COUNTS,
    reason=st.text(max_size=40),
    generation=st.none() | COUNTS,
    parent=st.none() | COUNTS,
    expected=st.none() | NUMBERS,
)
RUNGS = st.lists(
    st.builds(Rung, budget=st.integers(1, 2**31), values=VALUES, infeasible=st.booleans(), promoted=st.booleans()),
    unique_by=lambda rung: rung.budget,
    max_size=6,
).map(lambda rungs: tuple(sorted(rungs, key=lambda rung: rung.budget)))
REPLICATES = st.lists(st.builds(Replicate, values=VALUES, metrics=VALUES), max_size=4).map(tuple)
SPENT: dict[str, Any] = {
    "trial": st.just(3),
    "attempt": COUNTS,
    "retries": COUNTS,
    "disruptions": COUNTS,
    "accelerator_seconds": st.integers(0, 10**6).map(lambda ms: ms / 1000),
    "started_at": st.none() | SECONDS,
    "rungs": RUNGS,
    "replicates": REPLICATES,
}
STATES = st.sampled_from([TrialState.PENDING, TrialState.RUNNING, TrialState.PAUSED])
RESULTS = st.builds(
    Result,
    state=st.sampled_from([TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]),
    reason=st.sampled_from(["Completed", "Unpromising", "NotPromoted"]),
    message=st.text(max_size=40),
    values=VALUES,
    metrics=VALUES,
    errors=VALUES,
    infeasible=st.booleans(),
    step=st.none() | COUNTS,
)


def read_back(suggestion: Suggestion, status: dict[str, Any]) -> Trial:
    """Through JSON, as the API server keeps it, and held against the schema's models."""
    body = trial_body(a_study(), CreateTrial(3, Role.SEARCH, suggestion))
    body["metadata"] |= {"uid": "t", "resourceVersion": "1", "creationTimestamp": "1970-01-01T00:00:05Z"}
    raw = json.loads(json.dumps(body | {"status": status}, allow_nan=False))
    TuningTrialSpec.model_validate(raw["spec"])
    TuningTrialStatus.model_validate(raw["status"])
    seen = trial_seen(raw)
    assert seen is not None
    assert seen.identity.study_uid == UID
    return seen.trial


@given(SUGGESTIONS, st.builds(RecordAttempt, state=STATES, **SPENT))
def test_a_trial_without_a_result_is_read_as_it_was_written(suggestion: Suggestion, action: RecordAttempt) -> None:
    assume(action.rungs or action.state is not TrialState.PAUSED)  # a trial pauses at a rung
    trial = read_back(suggestion, attempt_status(action))

    assert trial.suggestion == suggestion
    assert (trial.recorded_state, trial.rungs, trial.replicates) == (action.state, action.rungs, action.replicates)
    assert (trial.attempt, trial.retries, trial.disruptions) == (action.attempt, action.retries, action.disruptions)
    assert (trial.accelerator_seconds, trial.started_at) == (action.accelerator_seconds, action.started_at)
    assert trial.result is None


@given(SUGGESTIONS, st.builds(RecordResult, result=RESULTS, ended_at=SECONDS, **SPENT))
def test_a_result_is_read_as_it_was_written(suggestion: Suggestion, action: RecordResult) -> None:
    trial = read_back(suggestion, result_status(action))

    assert trial.result == action.result
    assert trial.recorded_state is action.result.state
    assert (trial.rungs, trial.replicates, trial.ended_at) == (action.rungs, action.replicates, action.ended_at)


def test_what_is_not_finite_is_not_written_and_stays_infeasible() -> None:
    rung = Rung(3, {"loss": float("nan")}, infeasible=True)
    action = RecordAttempt(3, TrialState.PAUSED, 1, 0, 0, 0.0, None, rungs=(rung,))

    trial = read_back(Suggestion({"lr": 0.01, "optimizer": "adam"}, "TPE", 0), attempt_status(action))

    assert trial.rungs == (Rung(3, {}, infeasible=True),)


def test_a_record_without_rungs_leaves_those_that_stand() -> None:
    action = RecordAttempt(3, TrialState.RUNNING, 0, 0, 0, 0.0, None)
    assert not {"rungs", "replicates"} & attempt_status(action).keys()
