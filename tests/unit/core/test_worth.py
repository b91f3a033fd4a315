"""The search ends when the model expects less from one more hour than the hour is worth."""

from dataclasses import replace

from tests.unit.core.builders import Described, a_study, succeeded, was_stopped

HOUR = 3600.0


def promising(expected: float | None, *, seconds: float = HOUR, value: float = 0.5) -> Described:
    """A trial that took so long, and of which the model had expected so much."""

    def describe(number: int):  # type: ignore[no-untyped-def]
        trial, runs = succeeded(value, ended=seconds * (number + 1), accelerator_seconds=seconds)(number)
        return replace(trial, suggestion=replace(trial.suggestion, expected=expected)), runs

    return describe


def reason(*trials: Described, **changes: object) -> str:
    status = a_study(limits__minImprovement=0.01, **changes).with_trials(*trials).plan().status
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")  # type: ignore[attr-defined]
    return str(ready["reason"])


def test_it_ends_after_three_in_a_row_that_promised_too_little() -> None:
    assert reason(*(promising(0.001) for _ in range(3))) == "NotWorthwhile"
    assert reason(*(promising(0.001) for _ in range(2))) != "NotWorthwhile"


def test_at_least_as_many_as_run_at_once_must_agree() -> None:
    assert reason(*(promising(0.001) for _ in range(3)), limits__parallel=4) != "NotWorthwhile"
    assert reason(*(promising(0.001) for _ in range(4)), limits__parallel=4) == "NotWorthwhile"


def test_one_that_promises_enough_keeps_it_going() -> None:
    assert reason(promising(0.001), promising(0.02), promising(0.001)) != "NotWorthwhile"


def test_random_points_promise_nothing_and_end_nothing() -> None:
    assert reason(promising(None), promising(0.001), promising(0.001)) != "NotWorthwhile"


def test_what_counts_is_the_hour_not_the_trial() -> None:
    assert reason(*(promising(0.001, seconds=HOUR / 100) for _ in range(3))) != "NotWorthwhile"
    assert reason(*(promising(0.02, seconds=HOUR * 10) for _ in range(3))) == "NotWorthwhile"


def test_without_accelerators_hours_are_hours() -> None:
    trials = [promising(0.001) for _ in range(3)]
    assert reason(*trials, trial__accelerator__count=0) == "NotWorthwhile"


def test_once_ended_it_stays_ended() -> None:
    later = (promising(0.5), was_stopped("NotWorthwhile", ended=9 * HOUR))
    assert reason(*(promising(0.001) for _ in range(3)), *later) == "NotWorthwhile"
