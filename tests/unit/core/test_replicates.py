"""Trials that are trained several times: what each run leads to, what the trial is worth, and what is left out."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.unit.core.builders import Described, Doing, Scene, a_report, a_study, ended, recorded, running
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import RecordAttempt, RecordResult, Replicate, Result, StartRun


def a_repeated(count: int = 3, *, give_up: bool = True, **changes: Any) -> Scene:
    return a_study(trial__replicates={"count": count, "giveUp": give_up}, limits__parallel=1, **changes)


def runs(*values: float) -> tuple[Replicate, ...]:
    return tuple(Replicate({"accuracy": value}, {"accuracy": value}) for value in values)


def earlier(*values: float, infeasible: bool = False) -> Described:
    """A trial that was trained as often, and ended."""
    mean = {"accuracy": statistics.fmean(values)}
    result = Result(TrialState.SUCCEEDED, "Completed", values=mean, metrics=mean, step=10, infeasible=infeasible)
    return recorded(result, replicates=runs(*values))


def just_ended(value: float, *before: float) -> Described:
    return ended(0, report=a_report(value), replicates=runs(*before), attempt=len(before))


def the_result(scene: Scene) -> RecordResult | None:
    return next((action for action in scene.plan().actions if isinstance(action, RecordResult)), None)


def test_after_a_run_the_next_one_follows_and_counts_as_no_retry() -> None:
    plan = a_repeated().with_trials(just_ended(0.5)).plan()
    record = next(action for action in plan.actions if isinstance(action, RecordAttempt))
    assert record.replicates == runs(0.5)
    assert (record.state, record.attempt, record.retries, record.disruptions) == (TrialState.PENDING, 1, 0, 0)
    assert plan.actions.index(record) < plan.actions.index(StartRun(0, 1))
    assert plan.status["counts"]["running"] == 1


def test_the_last_run_gives_the_mean_and_its_standard_error() -> None:
    record = the_result(a_repeated().with_trials(just_ended(0.6, 0.4, 0.5)))
    assert record is not None
    assert record.replicates == runs(0.4, 0.5, 0.6)
    assert record.result.values == {"accuracy": pytest.approx(0.5)}
    assert record.result.errors["accuracy"] == pytest.approx(statistics.stdev([0.4, 0.5, 0.6]) / 3**0.5)
    assert record.result.metrics == {"accuracy": pytest.approx(0.5)}
    assert (record.result.reason, record.result.message) == ("Completed", "mean of 3 replicates")


def test_a_run_that_fails_fails_the_trial() -> None:
    record = the_result(a_repeated().with_trials(ended(1, replicates=runs(0.5), attempt=1)))
    assert record is not None
    assert record.result.state is TrialState.FAILED
    assert record.replicates == runs(0.5), "what went well stays on record"


def test_a_lost_run_is_repeated_and_the_others_stay() -> None:
    plan = a_repeated().with_trials(ended(None, disrupted=True, replicates=runs(0.5), attempt=1)).plan()
    record = next(action for action in plan.actions if isinstance(action, RecordAttempt))
    assert (record.replicates, record.attempt, record.disruptions) == (runs(0.5), 2, 1)


@pytest.mark.parametrize(
    ("constraint", "infeasible"), [({"max": 5.5}, False), ({"max": 4.0}, True)], ids=["the mean keeps it", "breaks it"]
)
def test_constraints_are_held_against_the_mean(constraint: dict[str, float], *, infeasible: bool) -> None:
    before = (Replicate({"accuracy": 0.5}, {"accuracy": 0.5, "size": 4.0}),)
    scene = a_repeated(2, constraints=[{"metric": "size"} | constraint]).with_trials(
        ended(0, report=a_report(0.5, size=6.0), replicates=before, attempt=1)
    )
    record = the_result(scene)
    assert record is not None
    assert record.result.infeasible is infeasible
    assert record.result.reason == ("ConstraintViolated" if infeasible else "Completed")
    assert record.result.metrics["size"] == 5.0


@pytest.mark.parametrize(
    ("trials", "left_out"),
    [
        ([earlier(0.90, 0.91, 0.92), just_ended(0.5)], True),
        ([earlier(0.90, 0.91, 0.92), just_ended(0.895)], False),
        ([earlier(0.90, 0.95, 1.00), just_ended(0.90)], False),
        ([just_ended(0.5, 0.5)], False),
        ([earlier(0.9), just_ended(0.5)], False),
        ([earlier(0.9), just_ended(0.501, 0.5, 0.499)], True),
        ([earlier(0.9, 0.91, 0.92, infeasible=True), just_ended(0.5)], False),
    ],
    ids=[
        "far behind, and runs are known to differ little",
        "within two standard errors of the best",
        "runs differ much",
        "no best yet",
        "nothing is known of how far runs differ",
        "its own runs tell",
        "the better one breaks a constraint",
    ],
)
def test_the_rest_is_left_out_where_it_cannot_matter(trials: list[Described], *, left_out: bool) -> None:
    record = the_result(a_repeated(5).with_trials(*trials))
    assert (record is not None) is left_out
    if record is not None:
        assert (record.result.state, record.result.reason) == (TrialState.SUCCEEDED, "ClearlyWorse")
        assert "giveUp" in record.result.message


def test_nothing_is_left_out_where_that_is_not_wanted() -> None:
    trials = [earlier(0.90, 0.91, 0.92), just_ended(0.5)]
    assert the_result(a_repeated(5, give_up=False).with_trials(*trials)) is None
    objectives = [{"metric": "accuracy", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]
    both = [earlier(0.90, 0.91, 0.92), ended(0, report=a_report(0.5, size=1.0))]
    assert the_result(a_repeated(5, objectives=objectives).with_trials(*both)) is None


def test_smaller_is_better_where_the_goal_says_so() -> None:
    goal = [{"metric": "accuracy", "goal": "Minimize"}]
    assert the_result(a_repeated(5, objectives=goal).with_trials(earlier(0.1, 0.11, 0.12), just_ended(0.5)))
    assert not the_result(a_repeated(5, objectives=goal).with_trials(earlier(0.9, 0.91, 0.92), just_ended(0.5)))


def test_a_crash_between_two_runs_repeats_none() -> None:
    doing = Doing(a_repeated(2, limits__trials=1).with_trials(just_ended(0.5)))
    plan = doing.scene.plan()
    doing.apply(plan.actions[:1])
    assert doing.scene.snapshot.trials[0].replicates == runs(0.5)
    again = doing.scene.plan()
    assert [action for action in again.actions if not isinstance(action, StartRun)] == []
    assert StartRun(0, 1) in again.actions


def test_a_run_under_way_changes_nothing() -> None:
    scene = a_repeated().with_trials(running(replicates=runs(0.5), attempt=1, report=a_report(0.4, done=False)))
    assert not [action for action in scene.plan().actions if isinstance(action, RecordAttempt | RecordResult)]
