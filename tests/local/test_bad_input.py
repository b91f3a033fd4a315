"""What people get wrong: named with field, value and remedy; nothing started, nothing lost."""

import json

import pytest

from tests.local.studies import DONE, REPORT, AStudy, run, trials, tuning


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        pytest.param([{"name": "x", "float": {"min": 3, "max": -3}}], "spec.parameters[0].float", id="an empty range"),
        pytest.param([{"name": "x", "float": {"min": 0, "max": 1, "scale": "Log"}}], "min", id="a log scale from 0"),
        pytest.param(
            [{"name": "x", "float": {"min": 0, "max": 1}, "when": [{"parameter": "y2", "values": [1]}]}],
            "y2",
            id="a condition on a parameter that does not exist",
        ),
    ],
)
def test_a_bad_space_is_refused_with_line_and_field(
    a_study: AStudy, parameters: list[dict[str, object]], says: str
) -> None:
    done = run(a_study.but(parameters=tuple(parameters)))
    assert done.code == 2
    assert done.err.startswith(str(a_study.directory / "study.yaml:"))
    assert says in done.err
    assert not a_study.ledger.exists()


def test_a_missing_file_is_named(a_study: AStudy) -> None:
    done = tuning(a_study.directory, "run", "nothing.yaml")
    assert (done.code, done.err) == (2, "nothing.yaml: cannot be read: No such file or directory\n")


def test_a_command_that_fails_each_time_fails_the_study_with_its_last_words(a_study: AStudy) -> None:
    done = run(a_study.with_script("echo 'no such data set: digts' >&2; exit 1").with_limits(trials=20, failures=2))
    assert done.code == 1
    assert done.status["counts"]["failed"] in (3, 4)  # the last two may end together
    assert all("no such data set: digts" in result["message"] for result in done.results)


def test_a_command_that_does_not_exist_stalls_at_once_and_can_be_corrected(a_study: AStudy) -> None:
    done = run(a_study.but(command=("trian.sh",)))
    assert done.code == 1
    assert done.status["state"] == "Stalled"
    assert "trian.sh: no such program" in str(done.status["conditions"])
    assert done.status["counts"]["failed"] == 0
    corrected = run(a_study)
    assert corrected.code == 0
    assert corrected.status["counts"]["succeeded"] == 4


def test_a_command_that_the_shell_does_not_find_does_not_burn_the_budget(a_study: AStudy) -> None:
    done = run(a_study.with_script("exec trian.sh").with_limits(trials=20))
    assert done.code == 1
    assert done.status["state"] == "Stalled"
    assert "trian.sh" in str(done.status["conditions"])
    assert len(trials(a_study)) <= 2
    assert run(a_study).code == 0


def test_a_template_without_a_command_says_what_a_local_run_needs(a_study: AStudy) -> None:
    document = a_study.document()
    del document["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]["command"]
    del document["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]["args"]
    (a_study.directory / "study.json").write_text(json.dumps(document))
    done = tuning(a_study.directory, "run", "study.json", "--no-report")
    assert done.code == 1
    assert "write the image's command" in done.out


def test_a_trial_that_never_ends_fails_by_its_timeout(a_study: AStudy) -> None:
    script = f'if [ "$TUNING_TRIAL_NUMBER" = 1 ]; then exec sleep 600; else {DONE}; fi'
    done = run(a_study.but(script=script, trial={"timeout": "2s"}))
    assert done.code == 0
    assert done.results[1]["reason"] == "DeadlineExceeded"
    assert done.status["counts"]["succeeded"] == 3


def test_a_trial_that_ignores_the_stop_is_killed(a_study: AStudy) -> None:
    script = f'if [ "$TUNING_TRIAL_NUMBER" = 1 ]; then trap "" TERM; sleep 600; sleep 600; else {DONE}; fi'
    study = a_study.but(script=script, trial={"timeout": "1s"})
    assert run(study).code == 0


def test_an_objective_that_is_never_reported_is_named(a_study: AStudy) -> None:
    done = run(a_study.but(objective={"metric": "val_loss", "goal": "Minimize"}))
    assert done.code == 1
    assert {result["reason"] for result in done.results} == {"MetricsUnavailable"}
    assert "val_loss" in done.results[0]["message"]
    assert "it reported loss" in done.results[0]["message"]


def test_a_trial_that_reports_nothing_at_all_is_no_success(a_study: AStudy) -> None:
    done = run(a_study.with_script("true"))
    assert done.code == 1
    assert {result["reason"] for result in done.results} == {"MetricsUnavailable"}


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_nan_and_infinity_are_never_the_best(a_study: AStudy, value: str) -> None:
    bad = REPORT + f'1 1 \'"{value}"\' true > "$TUNING_TERMINATION_FILE"'
    done = run(a_study.with_script(f'if [ "$TUNING_TRIAL_NUMBER" = 0 ]; then {bad}; else {DONE}; fi'))
    assert done.code == 0
    assert (done.results[0]["state"], done.results[0]["infeasible"]) == ("Failed", True)
    assert done.status["best"]["number"] != 0


@pytest.mark.parametrize(("code", "reason"), [(42, "InvalidSetting"), (43, "OutOfMemory"), (44, "Diverged")])
def test_parameters_that_cannot_work_are_told_to_the_search(a_study: AStudy, code: int, reason: str) -> None:
    done = run(a_study.with_script(f'if [ "$TUNING_TRIAL_NUMBER" = 0 ]; then exit {code}; else {DONE}; fi'))
    assert done.code == 0
    assert (done.results[0]["reason"], done.results[0]["infeasible"]) == (reason, True)


def test_a_trial_that_asks_to_be_tried_again_is(a_study: AStudy) -> None:
    script = f'if [ "$TUNING_TRIAL_NUMBER.$TUNING_ATTEMPT" = 0.0 ]; then exit 75; else {DONE}; fi'
    done = run(a_study.with_script(script))
    assert done.code == 0
    assert (done.json["trials"][0]["status"]["attempt"], done.json["trials"][0]["status"]["retries"]) == (1, 1)
