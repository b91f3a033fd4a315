"""Ctrl-C, SIGKILL, and a second run: nothing is lost, nothing is done twice."""

import itertools
import random
import time

import pytest

from tests.local.studies import (
    DONE,
    REPORT,
    AStudy,
    Tuning,
    intervals,
    results,
    run,
    trials,
    tuning,
    wait_for,
)

STEPS = 20
SAVING = f"""
at() {{ echo "$TUNING_TRIAL_NUMBER.$TUNING_ATTEMPT $1 $(date +%s.%N)" >> journal; }}
step=$(cat "$TUNING_CHECKPOINT_DIR/step" 2>/dev/null || echo 0)
trap 'echo $step > "$TUNING_CHECKPOINT_DIR/step"; at end; exit 143' TERM
at start
while [ $step -lt {STEPS} ]; do
  step=$((step + 1)); echo "$TUNING_TRIAL_NUMBER $step" >> steps
  {REPORT} $step {STEPS} 9 false > "$TUNING_TERMINATION_FILE"
  sleep 0.05
done
at end
{DONE}
"""
"""Saves its step when it is asked to stop, and goes on from there."""


def steps(study: AStudy) -> list[tuple[int, int]]:
    lines = (study.directory / "steps").read_text().splitlines()
    return [(int(trial), int(step)) for trial, step in (line.split() for line in lines)]


def test_ctrl_c_lets_trials_save_and_the_next_run_goes_on_from_there(a_study: AStudy) -> None:
    study = a_study.with_script(SAVING).with_limits(trials=6)
    first = Tuning(study.directory, "run", study.write())
    wait_for(lambda: len(results(study)) >= 2)
    time.sleep(0.3)
    first.interrupt()
    stopped = first.end()
    assert stopped.code == 130
    assert "goes on from here" in stopped.err
    before = trials(study)
    done_before = results(study)

    again = run(study)
    assert again.code == 0
    assert [trial["spec"] for trial in trials(study)][: len(before)] == [trial["spec"] for trial in before]
    assert {number: result for number, result in results(study).items() if number in done_before} == done_before
    assert sorted(results(study)) == list(range(6))
    assert len(steps(study)) == len(set(steps(study))) == 6 * STEPS, "a step was done twice, or not at all"
    interrupted = [trial["status"] for trial in trials(study) if trial["status"]["attempt"] > 0]
    assert len(interrupted) == 2
    assert all(status["retries"] == 0 and status["disruptions"] == 0 for status in interrupted)


def test_a_second_ctrl_c_does_not_wait(a_study: AStudy) -> None:
    script = 'trap "" TERM; echo > up.$TUNING_TRIAL_NUMBER; sleep 600; sleep 600'
    study = a_study.with_script(script)
    document = study.write()
    document.write_text(document.read_text().replace("GracePeriodSeconds: 5", "GracePeriodSeconds: 600"))
    first = Tuning(study.directory, "run", document)
    wait_for(lambda: len(list(study.directory.glob("up.*"))) == 2)
    first.interrupt()
    time.sleep(1)
    assert first.process.poll() is None
    first.interrupt()
    began = time.monotonic()
    assert first.end().code == 130
    assert time.monotonic() - began < 30


def test_a_study_stopped_while_it_is_stopping_goes_on_as_well(a_study: AStudy) -> None:
    study = a_study.with_script("trap 'sleep 1; exit 143' TERM; " + "sleep 0.2; " + DONE).with_limits(trials=3)
    first = Tuning(study.directory, "run", study.write())
    wait_for(lambda: list(study.ledger.glob("runs/*/*.pid")))
    first.interrupt()
    time.sleep(0.2)
    first.kill()
    assert run(study).code == 0
    assert sorted(results(study)) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_a_runner_killed_at_any_moment_leaves_a_ledger_that_goes_on(a_study: AStudy, seed: int) -> None:
    chance = random.Random(seed)
    study = a_study.with_script(SAVING.replace("sleep 0.05", "sleep 0.02")).with_limits(trials=10, parallel=3)
    known: dict[int, object] = {}
    for _ in range(5):
        runner = Tuning(study.directory, "run", study.write(), "--no-report", "--parallel", 3)
        wait_for((study.ledger / "study.json").exists)
        time.sleep(chance.uniform(0, 1.5))
        runner.kill()
        found = results(study)
        assert known.items() <= found.items(), "a recorded result changed or disappeared"
        known = dict(found)
    done = run(study, "--parallel", 3)
    assert done.code == 0
    assert sorted(results(study)) == list(range(10))
    assert known.items() <= results(study).items()
    spans = intervals((study.directory / "journal").read_text().splitlines())
    by_trial: dict[str, list[tuple[float, float]]] = {}
    for who, start, end in spans:
        by_trial.setdefault(who.split(".")[0], []).append((start, end))
    for spans_of_one in by_trial.values():
        ordered = sorted(spans_of_one)
        overlaps = [b for (_, a), (b, _) in itertools.pairwise(ordered) if b < a]
        assert not overlaps, "two attempts of one trial at once"


def test_trials_of_a_killed_runner_are_found_and_not_started_again(a_study: AStudy) -> None:
    study = a_study.with_script(SAVING).with_limits(trials=2)
    first = Tuning(study.directory, "run", study.write())
    wait_for(lambda: len(list(study.ledger.glob("runs/*/*.pid"))) == 2)
    first.kill()
    assert run(study).code == 0
    assert [trial["status"]["attempt"] for trial in trials(study)] == [0, 0]
    assert len(steps(study)) == len(set(steps(study))) == 2 * STEPS


def test_status_says_what_nobody_works_on(a_study: AStudy) -> None:
    study = a_study.with_script("exec sleep 600")
    first = Tuning(study.directory, "run", study.write())
    wait_for(lambda: list(study.ledger.glob("runs/*/*.pid")))
    wait_for(lambda: "Running" in tuning(study.directory, "status").out)
    first.interrupt()
    first.end()
    assert "Interrupted" in tuning(study.directory, "status").out
