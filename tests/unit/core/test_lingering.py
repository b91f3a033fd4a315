"""A run whose object has ended before all of its pods: its end counts, its slot does not free, and it is not left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.core.builders import T0, Described, Scene, a_report, a_study, ended, succeeded
from tuning_operator.api.trial import TrialState
from tuning_operator.core.desk import LINGERS_SECONDS
from tuning_operator.core.model import CreateTrial, Plan, RecordAttempt, RecordResult, Run, StartRun, StopRun, Trial

ENDED_AT = 90.0
STOP = StopRun(0, 0, "Superseded")


def over(of: Described, *, code: int | None = 0, disrupted: bool = False, lingers: bool = True) -> Described:
    """A trial as `of` says, beside which an ended run is still seen."""

    def described(number: int) -> tuple[Trial, tuple[Run, ...]]:
        _, (run,) = ended(code, ended=ENDED_AT, report=a_report(0.9), disrupted=disrupted, lingers=lingers)(number)
        return of(number)[0], (run,)

    return described


def alone(described: Described, **changes: Any) -> Scene:
    return a_study(limits__parallel=1, **changes).with_trials(described)


def starts(plan: Plan) -> list[int]:
    return [action.trial for action in plan.actions if isinstance(action, StartRun)]


@pytest.mark.parametrize(
    ("code", "disrupted", "want"),
    [
        pytest.param(0, False, TrialState.SUCCEEDED, id="done"),
        pytest.param(43, False, TrialState.FAILED, id="out of memory"),
        pytest.param(143, True, None, id="evicted, and tried again"),
    ],
)
def test_what_it_came_to_is_recorded_at_once_and_nothing_starts_in_its_slot(
    code: int, disrupted: bool, want: TrialState | None
) -> None:
    described = ended(code, ended=ENDED_AT, report=a_report(0.9), disrupted=disrupted, lingers=True)
    plan = alone(described).at(ENDED_AT + 1).plan()
    (first, *others) = plan.actions
    if want is None:
        assert isinstance(first, RecordAttempt)
        assert (first.attempt, first.disruptions) == (1, 1)
    else:
        assert isinstance(first, RecordResult)
        assert first.result.state is want
    assert not [each for each in others if isinstance(each, CreateTrial | StartRun | StopRun)]


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        pytest.param(ENDED_AT + 1.0, (), id="its controller may be about to end the rest"),
        pytest.param(ENDED_AT + LINGERS_SECONDS, (STOP,), id="it does not"),
    ],
)
def test_what_is_left_of_it_holds_the_slot_until_it_is_stopped(seconds: float, want: tuple[StopRun, ...]) -> None:
    plan = alone(over(succeeded(0.9, ended=ENDED_AT))).at(seconds).plan()
    assert plan.actions == want


def test_it_is_looked_at_again_when_it_has_to_be_stopped() -> None:
    plan = alone(over(succeeded(0.9, ended=ENDED_AT))).at(ENDED_AT + 5.0).plan()
    assert plan.requeue_after == pytest.approx(LINGERS_SECONDS - 5.0)


def test_the_next_attempt_waits_for_the_rest_of_the_one_before() -> None:
    scene = alone(ended(143, ended=ENDED_AT, disrupted=True, lingers=True)).gone_on()
    assert scene.at(ENDED_AT + 1.0).plan().actions == ()
    assert scene.at(ENDED_AT + LINGERS_SECONDS).plan().actions == (STOP,)


def test_once_all_of_it_has_ended_the_slot_is_free() -> None:
    plan = alone(over(succeeded(0.9, ended=ENDED_AT), lingers=False)).at(ENDED_AT + 1.0).plan()
    assert [type(each) for each in plan.actions] == [CreateTrial, StartRun]
    again = alone(ended(143, ended=ENDED_AT, disrupted=True)).gone_on().at(ENDED_AT + 1.0).plan()
    assert starts(again) == [0]


def test_other_slots_are_not_its_matter() -> None:
    plan = replace(
        a_study(limits__parallel=2).with_trials(over(succeeded(0.9, ended=ENDED_AT))), now=T0 + ENDED_AT + 1.0
    ).plan()
    assert [each.number for each in plan.actions if isinstance(each, CreateTrial)] == [1]
