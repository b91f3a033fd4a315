"""Names, durations, values of objectives, and what the search is told: the small pure parts."""

import math
import re

import pytest

from tests.unit.core.builders import a_report, a_spec, a_study, failed, recorded, running, succeeded, was_stopped
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.history import nothing_left, told
from tuning_operator.core.model import Result, Rung
from tuning_operator.core.naming import job_name, trial_name
from tuning_operator.core.objectives import summarize
from tuning_operator.core.times import seconds, timestamp
from tuning_trial.report import Best, Report

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.mark.parametrize("study", ["a", "digits-lenet", "a.b.c", "x" * 253, "1-" * 60 + "a", "v1." * 60 + "z"])
@pytest.mark.parametrize("number", [0, 9999])
@pytest.mark.parametrize("attempt", [0, 12345])
def test_every_name_is_a_dns_label(study: str, number: int, attempt: int) -> None:
    trial = trial_name(study, "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", number)
    for name in (trial, job_name(trial, attempt), job_name("y" * 200, attempt)):
        assert LABEL.fullmatch(name), name
        assert len(name) <= 63


def test_names_tell_apart_what_is_not_the_same() -> None:
    names = [
        job_name(trial_name(study, uid, number), attempt)
        for study in ("a", "a.b", "a-b", "x" * 70, "x" * 71)
        for uid in ("u1", "u2")
        for number in (0, 1, 10)
        for attempt in (0, 1, 10)
    ]
    assert len(set(names)) == len(names)


def test_names_are_the_same_in_any_process() -> None:
    assert trial_name("digits-lenet", "uid-1", 12) == trial_name("digits-lenet", "uid-1", 12)
    assert re.fullmatch(r"digits-lenet-[0-9a-f]{6}-12-0", job_name(trial_name("digits-lenet", "uid-1", 12), 0))


@pytest.mark.parametrize(("text", "want"), [("90s", 90.0), ("1h30m", 5400.0), ("2h", 7200.0), ("1h0m1s", 3601.0)])
def test_durations(text: str, want: float) -> None:
    assert seconds(text) == want


@pytest.mark.parametrize("text", ["", "1d", "5", "1m1h", "-1s"])
def test_what_is_no_duration_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="for example 6h, 1h30m or 90s"):
        seconds(text)


def test_timestamps_are_whole_seconds_in_utc() -> None:
    assert timestamp(1_700_000_000.999) == "2023-11-14T22:13:20Z"


REPORT = Report(step=9, final={"accuracy": 0.7}, best={"accuracy": Best(0.9, 4)}, mean={"accuracy": 0.6})
SUMMARIES = {
    "the last value": ({}, REPORT, 0.7),
    "the best value": ({"summarize": "Best"}, REPORT, 0.9),
    "the best value, although the last is NaN": (
        {"summarize": "Best"},
        Report(final={"accuracy": math.nan}, best={"accuracy": Best(0.9, 4)}),
        0.9,
    ),
    "the mean of the last ones": ({"summarize": "Mean", "window": 3}, REPORT, 0.6),
    "the last one where no best was kept": ({"summarize": "Best"}, Report(final={"accuracy": 0.7}), 0.7),
}


@pytest.mark.parametrize("case", SUMMARIES)
def test_the_value_of_an_objective_is(case: str) -> None:
    changes, report, want = SUMMARIES[case]
    spec = a_spec(objectives=[{"metric": "accuracy", "goal": "Maximize"} | changes])
    assert summarize(report, spec.objectives).values == {"accuracy": want}


def test_missing_is_not_zero_and_not_finite_is_not_missing() -> None:
    objectives = a_spec().objectives
    assert summarize(None, objectives).missing == ("accuracy",)
    assert summarize(a_report(None, loss=1.0), objectives).missing == ("accuracy",)
    assert summarize(a_report(math.nan), objectives).not_finite == ("accuracy",)
    assert not summarize(a_report(math.nan), objectives).values


def test_what_the_search_is_told() -> None:
    scene = a_study().with_trials(
        succeeded(0.5),
        failed("OutOfMemory", infeasible=True),
        failed("NonZeroExit"),
        failed("TooManyDisruptions"),
        was_stopped("TargetReached"),
        recorded(Result(TrialState.SUCCEEDED, "ConstraintViolated", values={"accuracy": 0.9}, infeasible=True)),
        running(),
        succeeded(0.9, role=Role.FINAL),
    )
    found = told(scene.snapshot)
    assert [(each.number, each.values, each.infeasible) for each in found.history] == [
        (0, (0.5,), False),
        (1, None, True),
        (2, None, False),
        (5, (0.9,), True),
    ]
    assert list(found.running) == [6]


def test_a_space_is_exhausted_when_the_ledger_says_so() -> None:
    two_points = {"parameters": [{"name": "x", "float": {"min": 0, "max": 0.37, "step": 0.37}}]}
    assert nothing_left(a_study(**two_points).with_trials(succeeded(0.5), failed()).snapshot)
    lost = a_study(**two_points).with_trials(succeeded(0.5), failed("TooManyDisruptions"))
    assert not nothing_left(lost.exhausted().snapshot), "the lost point was never tried, whatever the search last said"
    assert not nothing_left(a_study().with_trials(succeeded(0.5)).snapshot)


def test_what_the_search_is_told_is_tried() -> None:
    """It proposes none of that again, so a study that waited for it would never end."""
    two_points = {"parameters": [{"name": "x", "float": {"min": 0, "max": 0.37, "step": 0.37}}]}
    climbing = {"fidelity": {"parameter": "epochs", "min": 1, "max": 9}, "scheduler": {"name": "ASHA"}}
    stopped = Result(TrialState.STOPPED, "TooManyFailures")
    at_a_rung = recorded(stopped, rungs=(Rung(1, {"accuracy": 0.5}),))

    assert nothing_left(a_study(**two_points, **climbing).with_trials(failed(), at_a_rung).snapshot)
    assert not nothing_left(a_study(**two_points, **climbing).with_trials(failed(), recorded(stopped)).snapshot)
