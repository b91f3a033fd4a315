"""The history checker must see what it is for: each promise, broken once."""

import pytest

from tests.history import (
    Fact,
    Leads,
    Remains,
    Rests,
    RunCreated,
    RunGone,
    SpecSet,
    StatusWritten,
    StudyDeleted,
    Touched,
    TrialCreated,
    TrialRecorded,
    TrialVanished,
    check,
)

GOOD = {"state": "Succeeded", "values": {"accuracy": 0.9}}
BETTER = {"state": "Succeeded", "values": {"accuracy": 0.95}}


def spec(at: float = 0.0, *, parallel: int = 2, trials: int | None = 3) -> SpecSet:
    return SpecSet(at, "s", parallel, trials, "accuracy", True)


def created(number: int, at: float = 1.0, *, search: bool = True) -> TrialCreated:
    return TrialCreated(at, "op", "s", number, search, final=not search)


def run(trial: int, attempt: int = 0, at: float = 1.0) -> RunCreated:
    return RunCreated(at, "op", "s", trial, attempt)


def gone(trial: int, attempt: int = 0, at: float = 2.0) -> RunGone:
    return RunGone(at, "s", trial, attempt)


def result(trial: int, what: dict[str, object] | None = None, at: float = 2.0, attempt: int = 0) -> TrialRecorded:
    return TrialRecorded(at, "op", "s", trial, attempt, what)


def test_a_good_history_is_good() -> None:
    assert not check(
        [
            Leads(0, "op"),
            spec(),
            created(0),
            run(0),
            created(1),
            run(1),
            gone(0),
            created(2),
            run(2),
            result(0, GOOD),
            StatusWritten(2, "op", "s", 0),
            gone(1),
            result(1, BETTER),
            gone(2),
            result(2, None, attempt=1),
            run(2, 1, 3),
            gone(2, 1, 4),
            result(2, GOOD, 5, 1),
            StatusWritten(5, "op", "s", 1),
            Rests(9, "s", True),
        ]
    )


BROKEN: dict[str, tuple[str, list[Fact]]] = {
    "two attempts of a trial at once": ("P1", [spec(), created(0), run(0), run(0, 1)]),
    "a run of a trial that has its result": ("P1", [spec(), created(0), result(0, GOOD), run(0, 1)]),
    "more runs than allowed": ("P2", [spec(parallel=1), created(0), run(0), created(1), run(1)]),
    "more trials than allowed": ("P2", [spec(trials=1), created(0), created(1)]),
    "more runs than allowed long after an edit": (
        "P2",
        [spec(), created(0), run(0), spec(10, parallel=1), created(1, 99), run(1, 0, 99)],
    ),
    "a second final run": ("P2", [spec(), created(0), created(1, search=False), created(2, search=False)]),
    "a result that changes": ("P3", [spec(), created(0), result(0, GOOD), result(0, BETTER)]),
    "a result that disappears": ("P3", [spec(), created(0), result(0, GOOD), result(0, None)]),
    "an attempt that goes back": ("P3", [spec(), created(0), result(0, None, attempt=2), result(0, None, attempt=1)]),
    "a trial that disappears": ("P3", [spec(), created(0), TrialVanished(5, "s", 0)]),
    "a best that is not": (
        "P4",
        [spec(), created(0), result(0, GOOD), created(1), result(1, BETTER), StatusWritten(3, "op", "s", 0)],
    ),
    "no best in the end": ("P4", [spec(), created(0), result(0, GOOD), Rests(9, "s", True)]),
    "a write without the lease": ("P5", [Leads(0, "other"), spec(), created(0)]),
    "a write after the lease ran out": ("P5", [Leads(0, "op", until=0.5), spec(), created(0, 1.0)]),
    "something is left of a deleted study": ("P6", [spec(), StudyDeleted(1, "s"), Remains(99, "s", ("job a",))]),
    "a study that never ends": ("P7", [spec(), Rests(99, "s", False)]),
    "a trial without a result in the end": ("P7", [spec(), created(0), Rests(99, "s", True)]),
    "a run that is left running": (
        "P7",
        [spec(), created(0), run(0), result(0, {"state": "Stopped"}), Rests(9, "s", True)],
    ),
    "a trial created twice": ("P7", [spec(), created(0), created(0)]),
    "a write to what is not ours": ("P8", [Touched(1, "op", "the study's spec")]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_it_sees(case: str) -> None:
    promise, facts = BROKEN[case]
    assert promise in {broken.promise for broken in check(facts)}


def test_a_plan_made_before_an_edit_may_still_be_carried_out() -> None:
    assert not check([spec(), created(0), run(0), spec(10, parallel=1), created(1, 12), run(1, 0, 12)])


def test_a_trial_that_a_person_deleted_may_be_made_again() -> None:
    ledger = [spec(), created(0), run(0), gone(0), result(0, GOOD), created(1), run(1), gone(1), result(1, BETTER)]
    deleted = TrialVanished(3, "s", 1, by_hand=True)
    again = [created(1, 4), run(1, at=4), gone(1, at=5), result(1, GOOD, at=5), StatusWritten(9, "op", "s", 0)]

    assert not check([*ledger, deleted, *again])
    assert [broken.promise for broken in check([*ledger, TrialVanished(3, "s", 1), *again])] == ["P3", "P7", "P1", "P3"]
