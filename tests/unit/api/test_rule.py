"""Rules: how numbers are written, and what may change."""

import copy
import math
from typing import Any

import pytest

from tests.unit.api.corpus import a_study
from tuning_operator.api.rule import Rule, Shown, broken_by_change, number_text, validation
from tuning_operator.api.trial_rules import TRIAL_TRANSITIONS
from tuning_operator.api.validation import refused_changes, validate

COUNTS = {"total": 0, "pending": 0, "running": 0, "succeeded": 0, "failed": 0, "stopped": 0}

CHANGES: dict[str, dict[str, Any]] = {
    "objectives": {"objectives": [{"metric": "val_loss", "goal": "Minimize"}]},
    "parameters": {"parameters": [{"name": "lr", "float": {"min": 0.001, "max": 0.2}}]},
    "algorithm": {"algorithm": {"seed": 8}},
    "trial": {"trial": {"trainer": {"data": {"name": "wine"}}}},
    "metrics": {"metrics": {"port": 1234}},
    "final": {"final": {}},
}
FREE: dict[str, dict[str, Any]] = {
    "limits": {"limits": {"trials": 11, "parallel": 3}},
    "suspend": {"suspend": True},
    "retries and timeout": {"trial": {"trainer": {"data": {"name": "digits"}}, "retries": 7, "timeout": "1h"}},
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1.0, "1"), (-1.5, "-1.5"), (0.0001, "0.0001"), (0.00001, "1e-05"), (2.5e-7, "2.5e-07"),
        (100000, "100000"), (1000000, "1e+06"), (1234567, "1.234567e+06"), (1e20, "1e+20"), (123.456, "123.456"),
        (1e-300, "1e-300"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_the_api_server_writes_them(value: float, text: str) -> None:
    assert number_text(value) == text


def test_a_message_with_a_gap_too_many_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="1 values"):
        validation(Rule("", "true", lambda self: True, "{} and {}", (Shown("self.a", str),)))


def changed(change: dict[str, Any], **counts: int) -> list[str]:
    old = a_study() | {"status": {"counts": COUNTS | counts}}
    return [str(problem) for problem in refused_changes(old, a_study(**change) | {"status": old["status"]})]


@pytest.mark.parametrize("field", CHANGES)
def test_a_study_without_trials_may_be_corrected(field: str) -> None:
    assert changed(CHANGES[field]) == []
    assert refused_changes(a_study(), a_study(**CHANGES[field])) == []


@pytest.mark.parametrize("field", CHANGES)
def test_recorded_results_keep_their_meaning(field: str) -> None:
    (problem,) = changed(CHANGES[field], total=1, succeeded=1)
    assert problem.startswith(f"spec.{field}: {field} cannot change once the study has trials")


@pytest.mark.parametrize("field", CHANGES)
def test_until_a_trial_runs_only_what_a_trial_is_may_change(field: str) -> None:
    free = field in ("trial", "metrics", "final")
    assert bool(changed(CHANGES[field], total=1, pending=1)) is not free


@pytest.mark.parametrize("change", FREE.values(), ids=FREE)
def test_limits_may_change_at_any_time(change: dict[str, Any]) -> None:
    assert changed(change, total=3, running=1, succeeded=2) == []


def test_a_result_never_changes() -> None:
    old: dict[str, Any] = {"spec": {"number": 1}, "status": {"state": "Succeeded", "result": {"values": {"acc": 0.5}}}}
    assert broken_by_change(TRIAL_TRANSITIONS, old, copy.deepcopy(old)) == []
    for new in (
        {"spec": {"number": 1}},
        {"spec": {"number": 1}, "status": {"state": "Succeeded"}},
        {"spec": {"number": 1}, "status": {"state": "Succeeded", "result": {"values": {"acc": 0.6}}}},
    ):
        (problem,) = broken_by_change(TRIAL_TRANSITIONS, old, new)
        assert str(problem) == "status.result: a recorded result never changes or disappears"
    (problem,) = broken_by_change(TRIAL_TRANSITIONS, old, old | {"spec": {"number": 2}})
    assert problem.path == "spec"


@pytest.mark.parametrize(("low", "high"), [("NaN", "Log"), (math.nan, 1.0), (math.inf, 1.0), ("z", "a")])
def test_bounds_that_are_no_numbers_are_left_to_the_schema(low: object, high: object) -> None:
    bounds = {"min": low, "max": high, "scale": "Log"}
    assert validate(a_study(parameters=[{"name": "lr", "float": bounds}])).problems
