"""A single trial that stands still is ended, and what it reached is its result."""

import pytest

from tests.unit.core.builders import a_report, a_study, running
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import RecordResult, Result, StopRun
from tuning_trial.report import Best, Report

RULE = {"scheduler": {"plateau": {"steps": 5, "min": 8}}}


def at(step: int, *, best_at: int | None, **values: float) -> Report:
    best = {} if best_at is None else {"accuracy": Best(0.9, best_at)}
    return Report(step=step, final={"accuracy": 0.8} | values, best=best)


def result_of(report: Report | None, **changes: object) -> Result | None:
    plan = a_study(**(RULE | changes)).with_trials(running(report=report)).plan()
    return next((action.result for action in plan.actions if isinstance(action, RecordResult)), None)


TRAINS_ON = {
    "it has reported nothing": None,
    "its best value is young": at(12, best_at=8),
    "it is too early": at(7, best_at=1),
    "it never had a finite value": at(20, best_at=None),
}


@pytest.mark.parametrize("case", TRAINS_ON)
def test_a_trial_trains_on_when(case: str) -> None:
    assert result_of(TRAINS_ON[case]) is None


def test_it_is_stopped_and_keeps_its_value() -> None:
    plan = a_study(**RULE).with_trials(running(report=at(13, best_at=8))).plan()
    record = next(action for action in plan.actions if isinstance(action, RecordResult))
    assert (record.result.state, record.result.reason) == (TrialState.SUCCEEDED, "Plateau")
    assert record.result.values == {"accuracy": 0.8}
    assert record.result.message == "no better accuracy since step 8, at step 13 (scheduler.plateau)"
    assert plan.actions.index(record) < plan.actions.index(StopRun(0, 0, "Plateau"))
    assert plan.status["best"]["number"] == 0  # type: ignore[index]


def test_the_value_is_summarised_as_the_study_asks() -> None:
    result = result_of(at(13, best_at=8), objectives=[{"metric": "accuracy", "goal": "Maximize", "summarize": "Best"}])
    assert result is not None
    assert result.values == {"accuracy": 0.9}


def test_constraints_hold_for_it_too() -> None:
    result = result_of(at(13, best_at=8, size=9.0), constraints=[{"metric": "size", "max": 5}])
    assert result is not None
    assert (result.reason, result.infeasible) == ("ConstraintViolated", True)


def test_without_the_rule_nothing_ends() -> None:
    plan = a_study().with_trials(running(report=at(500, best_at=1))).plan()
    assert not any(isinstance(action, RecordResult) for action in plan.actions)
    assert a_report().done
