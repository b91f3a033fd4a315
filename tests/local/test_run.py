"""`tuning run` for real: processes, files, exit codes."""

import itertools
import json
import os
import time
from pathlib import Path

import pytest

from tests.local.studies import (
    DONE,
    SLOW,
    AStudy,
    Tuning,
    intervals,
    most_at_once,
    results,
    run,
    trials,
    tuning,
    wait_for,
)
from tuning_operator.local.runner import LOOK

JOURNAL = (
    'at() { echo "$TUNING_TRIAL_NUMBER $1 $(date +%s.%N)" >> journal; }; at start; ' + "sleep 0.1; at end; " + DONE
)


def test_a_study_runs_to_its_end_and_says_what_it_found(a_study: AStudy) -> None:
    done = run(a_study.with_limits(trials=8))
    assert done.code == 0
    assert done.status["state"] == "Succeeded"
    assert done.status["counts"] == {
        "total": 8,
        "pending": 0,
        "running": 0,
        "paused": 0,
        "succeeded": 8,
        "failed": 0,
        "stopped": 0,
    }
    best = min(done.results, key=lambda result: result["values"]["loss"])
    assert done.status["best"]["values"] == best["values"]
    assert [trial["spec"]["number"] for trial in done.json["trials"]] == list(range(8))


def test_the_result_on_standard_output_is_nothing_but_json(a_study: AStudy) -> None:
    done = run(a_study)
    assert json.loads(done.out)["metadata"]["name"] == "square"
    assert "trial 3 succeeded" in done.err


def test_lines_for_people_name_the_best_and_the_end(a_study: AStudy) -> None:
    done = tuning(a_study.directory, "run", a_study.write(), "--no-report")
    assert done.code == 0
    assert "square succeeded: all 4 trials ended (limits.trials)" in done.out
    assert "\nbest        trial " in done.out


def test_what_is_finished_stays_as_it_is(a_study: AStudy) -> None:
    run(a_study)
    before = {path: path.read_bytes() for path in (a_study.ledger / "trials").iterdir()}
    again = run(a_study)
    assert again.code == 0
    assert {path: path.read_bytes() for path in (a_study.ledger / "trials").iterdir()} == before


def test_more_trials_are_added_to_a_finished_study_by_its_limits(a_study: AStudy) -> None:
    first = run(a_study)
    more = run(a_study.with_limits(trials=6))
    assert [trial["spec"] for trial in more.json["trials"]][:4] == [trial["spec"] for trial in first.json["trials"]]
    assert len(results(a_study)) == 6


def test_no_more_trials_run_at_once_than_asked_for(a_study: AStudy) -> None:
    study = a_study.with_script(JOURNAL)
    assert run(study, "--parallel", 3, "--trials", 9).code == 0
    spans = intervals((study.directory / "journal").read_text().splitlines())
    assert len(spans) == 9
    assert most_at_once(spans) <= 3


def test_a_free_slot_is_filled_at_once(a_study: AStudy) -> None:
    study = a_study.with_script(JOURNAL).with_limits(trials=8, parallel=1)
    run(study)
    spans = intervals((study.directory / "journal").read_text().splitlines())
    gaps = sorted(start - end for (_, _, end), (_, start, _) in itertools.pairwise(spans))
    assert gaps[len(gaps) // 2] < 2 * LOOK / 3, f"no loop that looks now and then is as quick as {gaps}"


def test_parameters_reach_a_trial_in_each_of_the_three_ways(a_study: AStudy) -> None:
    script = 'echo "$TUNING_PARAMETERS|$TUNING_PARAM_LR_MAX|$1|$BOUND" > seen; ' + DONE.replace(
        "PARAM_X", "PARAM_LR_MAX"
    )
    study = a_study.but(
        parameters=({"name": "lr.max", "choice": [0.5]},),
        script=script,
        limits={"trials": 1},
        trial={"bind": [{"parameter": "lr.max", "to": "/spec/template/spec/containers/0/env/0/value"}]},
    )
    document = study.document()
    container = document["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]
    container["args"] += ["trial", "--lr=$(TUNING_PARAM_LR_MAX)"]
    container["env"] = [{"name": "BOUND", "value": "-"}]
    (study.directory / "bound.yaml").write_text(json.dumps(document))
    done = tuning(study.directory, "run", "bound.yaml", "--output", "json", "--no-report")
    assert done.code == 0, done.err
    assert (study.directory / "seen").read_text() == '{"lr.max":0.5}|0.5|--lr=0.5|0.5\n'


def test_the_same_file_gives_the_same_suggestions_on_any_machine(tmp_path: Path) -> None:
    seen = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        study = AStudy(tmp_path / name, algorithm={"name": "TPE", "seed": 3}).with_limits(trials=14, parallel=1)
        run(study)
        seen.append([trial["spec"] for trial in trials(study)])
    assert seen[0] == seen[1]
    assert {spec["suggestion"]["by"] for spec in seen[0]} == {"Random", "TPE"}


def test_a_grid_is_tried_once_each_without_a_limit(a_study: AStudy) -> None:
    parameters = ({"name": "x", "int": {"min": 1, "max": 3}}, {"name": "kind", "choice": ["a", "b"]})
    study = a_study.but(parameters=parameters, algorithm={"name": "Grid"}, limits={"parallel": 2})
    done = run(study)
    assert done.code == 0
    points = [(t["spec"]["parameters"]["x"], t["spec"]["parameters"]["kind"]) for t in done.json["trials"]]
    assert sorted(points) == [(x, kind) for x in (1, 2, 3) for kind in ("a", "b")]


def test_the_final_run_uses_the_best_parameters_and_knows_its_role(a_study: AStudy) -> None:
    script = (
        'if [ "$TUNING_ROLE" = Final ]; then echo weights > "$TUNING_CHECKPOINT_DIR/model.pt"; '
        'echo "$TUNING_FINAL" > final;'
        ' printf \'{"v":1,"step":1,"final":{"test_loss":0.5},"artifacts":{"weights":"model.pt"},"done":true}\''
        ' > "$TUNING_TERMINATION_FILE"; else ' + DONE + "; fi"
    )
    done = run(a_study.but(script=script, more={"final": {"retrain": True, "evaluate": "Test"}}))
    assert done.code == 0
    final = done.json["trials"][-1]
    assert final["spec"]["role"] == "Final"
    assert final["spec"]["parameters"] == done.status["best"]["parameters"]
    assert done.status["final"]["metrics"] == {"test_loss": 0.5}
    assert Path(done.json["files"]["weights"]).read_text() == "weights\n"
    assert json.loads((a_study.directory / "final").read_text()) == {"retrain": True, "evaluate": "Test", "export": []}


def test_a_target_ends_the_study_and_stops_what_runs(a_study: AStudy) -> None:
    script = f'if [ "$TUNING_TRIAL_NUMBER" = 0 ]; then {DONE}; else exec sleep 600; fi'
    objective = {"metric": "loss", "goal": "Minimize", "target": 100}
    done = run(a_study.but(script=script, objective=objective))
    assert done.code == 0
    assert [result["state"] for result in done.results] == ["Succeeded", "Stopped"]
    assert done.results[1]["reason"] == "TargetReached"


def test_a_suspended_study_starts_nothing_and_says_so(a_study: AStudy) -> None:
    done = run(a_study.but(more={"suspend": True}))
    assert done.code == 3
    assert done.status["state"] == "Suspended"
    assert trials(a_study) == []
    assert run(a_study).code == 0


def test_limits_edited_while_the_study_runs_hold_at_once(a_study: AStudy) -> None:
    study = a_study.with_script("sleep 0.05; " + DONE).with_limits(trials=5000)
    running = Tuning(study.directory, "run", study.write(), "--no-report")
    wait_for(lambda: len(results(study)) >= 2)
    study.with_limits(trials=3).write()
    done = running.end()
    assert done.code == 0
    assert "was edited" in done.out
    assert len(results(study)) < 100


def test_an_edit_that_would_falsify_results_is_refused_while_running_and_when_going_on(a_study: AStudy) -> None:
    wait = 'while [ "$TUNING_TRIAL_NUMBER" != 0 ] && [ ! -e go ]; do sleep 0.02; done; '
    study = a_study.with_script(wait + DONE)
    running = Tuning(study.directory, "run", study.write(), "--no-report")
    wait_for(lambda: results(study))
    edited = study.but(parameters=({"name": "x", "float": {"min": -3, "max": 4}},))
    edited.write()
    time.sleep(3 * LOOK)
    (study.directory / "go").touch()
    done = running.end()
    assert done.code == 0
    assert "the edited study is not taken over: spec.parameters[x].float.max: was 3, is now 4" in done.out
    again = run(edited)
    assert again.code == 2
    assert "spec.parameters[x].float.max: was 3" in again.err
    assert "--restart" in again.err
    assert run(edited, "--restart").code == 0
    assert (study.ledger.with_name("square.1") / "study.json").exists()


def test_two_runs_of_one_ledger_are_refused(a_study: AStudy) -> None:
    study = a_study.with_script("exec sleep 600")
    first = Tuning(study.directory, "run", study.write())
    wait_for(lambda: list(study.ledger.glob("runs/*/*.pid")))
    second = run(study)
    assert second.code == 2
    assert f"another `tuning run` (process {first.process.pid}) works on this study" in second.err
    first.interrupt()
    assert first.end().code == 130


def test_cores_are_split_between_the_trials_at_once(a_study: AStudy) -> None:
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    study = a_study.with_script('echo "$OMP_NUM_THREADS" > threads; ' + DONE)
    assert "OMP_NUM_THREADS" not in environment
    run(study, "--parallel", 1, "--trials", 1)
    assert int((study.directory / "threads").read_text()) == len(os.sched_getaffinity(0))


def test_a_reader_that_goes_away_does_not_end_the_study(a_study: AStudy) -> None:
    study = a_study.with_script("sleep 0.2; " + DONE)
    running = Tuning(study.directory, "run", study.write(), "--no-report")
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.wait(timeout=SLOW)
    assert len(results(study)) == 4


def test_no_process_is_left_behind(a_study: AStudy) -> None:
    study = a_study.with_script("sleep 611 & " + DONE)
    assert run(study).code == 0
    time.sleep(0.1)
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x00611" in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("verb", [[], ["--help"], ["run", "--help"], ["version"]])
def test_the_command_helps_quickly_and_without_heavy_imports(a_study: AStudy, verb: list[str]) -> None:
    assert tuning(a_study.directory, *verb).code == (0 if verb else 2)
