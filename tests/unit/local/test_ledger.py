from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.local.builders import a_result, a_spec, a_trial
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import RecordAttempt, Replicate, Result, Rung, Trial
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.records import trial_from, trial_resource
from tuning_operator.search.types import Suggestion


def opened(directory: Path, spec: StudySpec | None = None) -> Ledger:
    ledger = Ledger(directory)
    ledger.lock()
    ledger.open(name="digits", spec=spec or a_spec(), source="text", now=1000.0)
    return ledger


def with_a_result(directory: Path) -> Ledger:
    ledger = opened(directory)
    ledger.create(a_trial())
    ledger.record_result(a_result())
    ledger.write_status({"counts": {"total": 1, "succeeded": 1}})
    return ledger


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    ledger.create(a_trial(1, lr=0.75))
    ledger.unlock()
    again = Ledger(tmp_path)
    assert again.trials == ledger.trials
    assert (again.study, again.status) == (ledger.study, ledger.status)


def test_a_trial_is_the_same_after_its_way_through_a_resource(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    assert trial_from(trial_resource(ledger.trials[0], ledger.study)) == ledger.trials[0]


def test_rungs_replicates_and_ancestors_are_the_same_after_their_way_through_a_resource(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    suggestion = Suggestion({"lr": 0.5}, "PBT", 3, "copies trial 1", generation=2, parent=1, expected=0.25)
    trial = replace(
        a_trial(1),
        suggestion=suggestion,
        rungs=(Rung(1, {"loss": 0.5}, promoted=True), Rung(3, {}, infeasible=True)),
        replicates=(Replicate({"loss": 0.5}, {"loss": 0.5, "time": 2.0}),),
        recorded_state=TrialState.PAUSED,
    )
    assert trial_from(trial_resource(trial, ledger.study)) == trial
    result = Result(TrialState.SUCCEEDED, "Completed", values={"loss": 0.5}, errors={"loss": 0.1})
    ended = replace(trial, result=result, recorded_state=TrialState.SUCCEEDED)
    assert trial_from(trial_resource(ended, ledger.study)) == ended


def test_a_recorded_rung_stays_whatever_is_written_after_it(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    ledger.create(a_trial(1))
    paused = RecordAttempt(1, TrialState.PAUSED, 1, 0, 0, 0.0, None, rungs=(Rung(1, {"loss": 0.5}),))
    ledger.record_attempt(paused)
    ledger.record_attempt(replace(paused, state=TrialState.PENDING, rungs=()))
    assert ledger.trials[1].rungs == (Rung(1, {"loss": 0.5}),)


def test_a_recorded_result_never_changes(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    before = (tmp_path / "trials" / "0000.json").read_bytes()
    ledger.record_result(a_result(loss=0.001))
    ledger.create(a_trial(0, lr=0.9))
    assert (tmp_path / "trials" / "0000.json").read_bytes() == before


def test_a_half_written_file_is_no_trial(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    (tmp_path / "trials" / ".0001.json.new").write_text('{"half')
    ledger.unlock()
    assert [trial.number for trial in Ledger(tmp_path).trials] == [0]


def test_a_ledger_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    ledger.unlock()
    (tmp_path / "trials" / "0000.json").write_text("{}")
    with pytest.raises(LedgerError, match="this ledger cannot be read"):
        Ledger(tmp_path)


def test_one_runner_at_a_time(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    assert ledger.busy()
    with pytest.raises(LedgerError, match="another `tuning run`"):
        Ledger(tmp_path).lock()
    ledger.unlock()
    assert not ledger.busy()
    Ledger(tmp_path).lock()


def test_limits_and_suspend_may_change(tmp_path: Path) -> None:
    ledger = with_a_result(tmp_path)
    assert not ledger.edit(a_spec())
    assert ledger.edit(a_spec(limits={"trials": 9, "parallel": 2}, suspend=True))
    assert (ledger.study.generation, ledger.study.spec.limits.trials) == (2, 9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {"parameters": [{"name": "lr", "float": {"min": 0.1, "max": 2}}]},
            r"spec\.parameters\[lr\]\.float\.max: was 1, is now 2",
            id="a range",
        ),
        pytest.param(
            {"parameters": [{"name": "lr", "float": {"min": 0.1, "max": 1}}, {"name": "a", "choice": [1, 2]}]},
            r"spec\.parameters: was 1 entries, is now 2 entries",
            id="one parameter more",
        ),
        pytest.param(
            {"objectives": [{"metric": "loss", "goal": "Maximize"}]},
            r"spec\.objectives\[0\]\.goal: was Minimize, is now Maximize",
            id="the goal",
        ),
        pytest.param(
            {"trial": {"trainer": {"data": {"name": "wine"}}}},
            r"spec\.trial\.trainer\.data\.name: was digits, is now wine",
            id="the data",
        ),
    ],
)
def test_what_would_falsify_results_is_refused_by_name(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    ledger = with_a_result(tmp_path)
    with pytest.raises(LedgerError, match=says):
        ledger.edit(a_spec(**changes))
    assert ledger.study.generation == 1


def test_before_any_trial_everything_may_change(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    assert ledger.edit(a_spec(parameters=[{"name": "other", "choice": [1, 2]}]))


def test_another_study_has_no_place_here(tmp_path: Path) -> None:
    opened(tmp_path).unlock()
    ledger = Ledger(tmp_path)
    with pytest.raises(LedgerError, match="holds the study 'digits', not 'wine'"):
        ledger.open(name="wine", spec=a_spec(), source="", now=0)


def test_begun_again_the_old_results_are_kept(tmp_path: Path) -> None:
    for number in (1, 2):
        ledger = with_a_result(tmp_path / "digits")
        assert ledger.set_aside() == tmp_path / f"digits.{number}"
        ledger.unlock()
    kept: tuple[Trial, ...] = Ledger(tmp_path / "digits.2").trials
    assert len(kept) == 1
