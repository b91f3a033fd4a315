import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.unit.cli.scenes import a_scene, ended, running
from tests.unit.local.builders import a_trial
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cli import words
from tuning_operator.cli.lines import LinesDisplay
from tuning_operator.cli.progress import rows, seconds_left
from tuning_operator.cli.table import TableDisplay, picture
from tuning_operator.core.model import Rung, Trial
from tuning_operator.local.runner import Scene


@pytest.mark.parametrize(
    ("seconds", "want"), [(0.04, "0.0s"), (7.25, "7.2s"), (59.99, "1m00s"), (65, "1m05s"), (7620, "2h07m")]
)
def test_durations_are_short(seconds: float, want: str) -> None:
    assert words.duration(seconds) == want


def test_parameters_are_short_and_typed() -> None:
    values = {"lr": 0.0123456, "layers": 3, "optimizer": "sgd", "nesterov": True}
    assert words.parameters(values) == "lr=0.01235 layers=3 optimizer=sgd nesterov=true"


def test_a_running_trial_shows_how_far_it_is_and_its_values() -> None:
    trial, run = running(1, step=5, steps=10, loss=0.7)
    row = rows(a_scene(ended(0), trial, runs=(run,), best=0))[1]
    assert (row.state, row.done, row.current, row.seconds) == ("Running", 0.5, 0.7, 5.0)
    assert row.best == pytest.approx(0.6)


def test_a_trial_that_plans_no_steps_has_no_share() -> None:
    trial, run = running(0, steps=None)
    assert rows(a_scene(trial, runs=(run,)))[0].done is None


def test_a_failed_trial_shows_its_reason() -> None:
    row = rows(a_scene(ended(0, loss=None, state=TrialState.FAILED, reason="OutOfMemory")))[0]
    assert (row.state, row.note, row.best) == ("Failed", "OutOfMemory", None)


def test_the_time_left_counts_trials_to_come_over_the_slots() -> None:
    trial, run = running(1)
    # 4 trials of 10 s, one done, one half way, two to come, two at once.
    assert seconds_left(a_scene(ended(0), trial, runs=(run,))) == pytest.approx((5 + 20) / 2)
    assert seconds_left(a_scene(trial, runs=(run,))) is None


def lines_of(*scenes: Scene) -> list[str]:
    out = io.StringIO()
    with LinesDisplay(out) as display:
        for scene in scenes:
            display.update(scene)
    return out.getvalue().splitlines()


def test_lines_tell_each_change_once() -> None:
    trial, run = running(0)
    first = a_scene(trial, runs=(run,))
    told = lines_of(a_scene(), first, first, a_scene(ended(0), best=0), a_scene(ended(0), best=0))
    assert told[0] == "digits: 2 at once, TPE: a model learns"
    assert told[1].endswith("trial 0 running  lr=0.25")
    assert "trial 0 succeeded  loss=0.5  the best so far  lr=0.1  (1 of 4" in told[2]
    assert len(told) == 3


def test_lines_of_a_study_that_goes_on_leave_the_past_alone() -> None:
    trial, run = running(2)
    told = lines_of(a_scene(ended(0), ended(1), trial, runs=(run,), best=0))
    assert told[1] == "going on with 3 trials, 2 of them ended"
    assert ["trial 2 running" in line for line in told[2:]] == [True]


def test_a_failure_says_what_happened() -> None:
    failed = ended(0, loss=None, state=TrialState.FAILED, reason="NonZeroExit", message="exit code 1: no such file")
    trial, run = running(0)
    told = lines_of(a_scene(trial, runs=(run,)), a_scene(failed))
    assert "NonZeroExit: exit code 1: no such file" in told[-1]


def drawn(scene: Scene, *, height: int = 30, width: int = 100) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(picture(scene, height=height))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table_shows_each_trial_with_its_values_and_the_best() -> None:
    trial, run = running(2)
    table = drawn(a_scene(ended(0), ended(1, loss=0.25), trial, runs=(run,), best=1))
    assert table[0] == "digits  Running  loss, TPE, 2 at once"
    assert table[1].split() == ["TRIAL", "STATE", "PROGRESS", "NOW", "BEST", "TIME", "PARAMETERS"]
    assert table[3].split() == ["1", "*", "Succeeded", "0.25", "10.0s", "lr=0.2"]
    assert table[4].split()[:2] == ["2", "Running"]
    assert "best so far  trial 1  loss=0.25" in table
    assert table[-1].startswith("2 of 4 trials ended")


def test_a_long_study_keeps_the_best_and_what_runs_in_sight() -> None:
    trial, run = running(99)
    scene = a_scene(*(ended(number) for number in range(99)), trial, runs=(run,), best=3)
    table = drawn(scene, height=20)
    assert len(table) <= 20
    numbers = [line.split()[0] for line in table[2:-2]]
    assert numbers[0] == "3"
    assert numbers[-1] == "99"


def test_the_table_fits_a_narrow_terminal() -> None:
    trial, run = running(0)
    assert all(len(line) <= 72 for line in drawn(a_scene(trial, runs=(run,)), width=72))


def test_the_live_table_ends_with_the_last_state() -> None:
    out = io.StringIO()
    with TableDisplay(Console(file=out, force_terminal=True, width=100)) as display:
        trial, run = running(0)
        display.update(a_scene(trial, runs=(run,)))
        display.note("something happened")
        display.update(a_scene(ended(0), ended(1, role=Role.FINAL), best=0))
    assert "something happened" in out.getvalue()
    assert "final" in out.getvalue()


def paused(number: int, *budgets: int, state: TrialState = TrialState.PAUSED) -> Trial:
    rungs = tuple(Rung(budget, {"loss": 1 / budget}) for budget in budgets)
    return replace(a_trial(number, lr=0.25), rungs=rungs, recorded_state=state)


def test_a_paused_trial_shows_its_last_rung_and_what_it_reached_there() -> None:
    row = rows(a_scene(paused(0, 1, 4)))[0]
    assert (row.state, row.rung, row.best) == ("Paused", 4, 0.25)


def test_lines_tell_pauses_and_promotions() -> None:
    trial, run = running(0)
    goes_on = replace(paused(0, 1, 4), recorded_state=TrialState.RUNNING)
    waits = paused(0, 1, 4, state=TrialState.PENDING)
    told = lines_of(
        a_scene(trial, runs=(run,)), a_scene(paused(0, 1, 4)), a_scene(waits), a_scene(goes_on, runs=(run,))
    )
    assert "trial 0 paused at step 4  loss=0.25" in told[-2]
    assert told[-1].endswith("trial 0 promoted from step 4")


def test_the_table_has_a_column_of_rungs_only_where_there_are_some() -> None:
    assert "RUNG" not in drawn(a_scene(ended(0)))[1]
    scene = a_scene(paused(0, 1, 4), ended(1))
    told = drawn(replace(scene, status=scene.status | {"counts": {"paused": 1}}))
    assert "RUNG" in told[1]
    assert "Paused" in told[2]
    assert "1 paused" in told[-1]


def test_the_table_tells_how_large_the_front_is() -> None:
    scene = a_scene(ended(0), best=0)
    told = drawn(replace(scene, status=scene.status | {"front": [{"number": 0}] * 7}))
    assert "7 on the front" in told[-1]
    assert "64 or more on the front" in drawn(replace(scene, status=scene.status | {"front": [{"number": 0}] * 64}))[-1]


def test_further_runs_and_the_final_run_are_told_as_such() -> None:
    again, final = ended(1, role=Role.CONFIRM), ended(2, role=Role.FINAL)
    trial, run = running(1)
    waiting = a_scene(replace(trial, role=Role.CONFIRM), runs=(run,))
    assert "further run (trial 1) succeeded" in lines_of(waiting, a_scene(again))[-1]
    assert any("1 again" in line for line in drawn(a_scene(again, final)))
