"""Which trial gets a free slot, in which order, and what is made ready for the next one."""

import pytest

from tests.unit.core.builders import (
    Described,
    a_report,
    a_study,
    a_suggestion,
    ended,
    failed,
    pending,
    running,
    stopping,
    succeeded,
    waiting,
)
from tuning_operator.api.trial import Role
from tuning_operator.core.model import CreateTrial, RecordAttempt, RecordResult, StartRun

NEW = [CreateTrial, StartRun]


def kinds(plan: object) -> list[type]:
    return [type(action) for action in plan.actions]


def test_an_empty_study_fills_its_slots() -> None:
    plan = a_study(limits__parallel=2).plan()
    assert plan.actions == (
        CreateTrial(0, Role.SEARCH, a_suggestion(0)),
        StartRun(0, 0),
        CreateTrial(1, Role.SEARCH, a_suggestion(1)),
        StartRun(1, 0),
    )


SLOTS: dict[str, tuple[list[Described], int]] = {
    "a run that waits holds a slot": ([waiting()], 1),
    "a run that is being stopped holds a slot": ([stopping()], 1),
    "a run that ended frees it before its result is recorded": ([ended(0, report=a_report())], 2),
    "a run that ended and waits for its values frees it": ([ended(0, ended=90)], 2),
    "a trial that waits for its start holds a slot": ([pending()], 1),
    "a trial that goes to its next attempt holds a slot": ([ended(75)], 1),
    "recorded trials hold none": ([succeeded(0.5), failed()], 2),
    "more runs than slots": ([running(), running(), running()], 0),
}


@pytest.mark.parametrize("case", SLOTS)
def test_slots(case: str) -> None:
    described, free = SLOTS[case]
    plan = a_study(limits__parallel=2).with_trials(*described).plan()
    assert kinds(plan).count(CreateTrial) == free


def test_the_budget_bounds_what_is_created() -> None:
    plan = a_study(limits__trials=3, limits__parallel=5).with_trials(succeeded(0.5), running()).plan()
    assert kinds(plan).count(CreateTrial) == 1


def test_nothing_is_created_without_a_suggestion_and_the_next_numbers_are_asked_for() -> None:
    plan = a_study(limits__parallel=2).without_suggestions().plan()
    assert not plan.actions
    assert plan.suggest == (0, 1, 2, 3), "two for the free slots, two for the next that may free together"
    assert plan.status["state"] == "Pending"


LOOK_AHEAD: dict[str, tuple[dict[str, int], list[Described], tuple[int, ...]]] = {
    "as many as run": ({"limits__parallel": 2}, [running(), running()], (2, 3)),
    "no more than the budget has left": ({"limits__parallel": 4, "limits__trials": 5}, [running()] * 4, (4,)),
    "none at the end of the budget": ({"limits__parallel": 2, "limits__trials": 2}, [running()] * 2, ()),
}


@pytest.mark.parametrize("case", LOOK_AHEAD)
def test_look_ahead(case: str) -> None:
    changes, described, numbers = LOOK_AHEAD[case]
    assert a_study(**changes).with_trials(*described).plan().suggest == numbers


def test_next_attempts_go_before_new_trials() -> None:
    plan = a_study(limits__parallel=1).with_trials(ended(75), pending()).plan()
    record, start = plan.actions
    assert isinstance(record, RecordAttempt)
    assert start == StartRun(0, 1), "by number"


def test_new_trials_go_before_the_records_of_what_freed_their_slots() -> None:
    plan = (
        a_study(limits__parallel=3).with_trials(ended(0, report=a_report()), ended(75), running(recorded=False)).plan()
    )
    assert kinds(plan) == [CreateTrial, StartRun, RecordAttempt, StartRun, RecordResult, RecordAttempt]


BACKOFF: dict[str, tuple[Described, float | None]] = {
    "the first lost attempt is repeated at once": (ended(None, ended=99.9, disrupted=True), None),
    "the second waits two seconds": (ended(None, ended=99, disrupted=True, disruptions=1, attempt=1), 1.0),
    "the fourth waits eight seconds": (ended(75, ended=99, disruptions=2, retries=1, attempt=3), 7.0),
    "never more than a minute": (ended(None, ended=99, disrupted=True, disruptions=12, attempt=12), 59.0),
    "who was lost long ago waits no more": (ended(None, ended=0, disrupted=True, disruptions=12, attempt=12), None),
}


@pytest.mark.parametrize("case", BACKOFF)
def test_lost_attempts_are_repeated_ever_later(case: str) -> None:
    described, wait = BACKOFF[case]
    plan = a_study(limits__trials=1).with_trials(described).at(100).plan()
    assert (StartRun in kinds(plan)) is (wait is None)
    if wait is not None:
        assert plan.requeue_after == pytest.approx(wait)


def test_an_active_study_is_read_again_within_a_minute() -> None:
    assert a_study(limits__trials=1).with_trials(running()).plan().requeue_after == 60.0
    assert a_study(limits__trials=1).with_trials(succeeded(0.5)).plan().requeue_after is None


def test_the_end_of_the_time_is_not_slept_through() -> None:
    plan = a_study(limits__trials=1, limits__duration="110s").with_trials(running()).at(100).plan()
    assert plan.requeue_after == pytest.approx(10.0)
    hours = a_study(limits__trials=1, limits__acceleratorHours=110 / 3600).with_trials(running()).at(100).plan()
    assert hours.requeue_after == pytest.approx(10.0)


def test_a_study_that_is_deleted_is_left_alone() -> None:
    plan = a_study().with_trials(running(), ended(0)).with_status({"state": "Running"}).deleting().plan()
    assert (plan.actions, plan.status, plan.finished) == ((), {"state": "Running"}, True)


def test_a_ledger_with_a_hole_is_never_numbered_twice() -> None:
    scene = a_study(limits__parallel=3).with_trials(succeeded(0.5), succeeded(0.6)).without_trial(0)
    first = scene.plan().actions[0]
    assert isinstance(first, CreateTrial)
    assert first.number == 2
