"""One trial in this process: its file, its metrics, its threads."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tuning_trial import Environment, Report, Session, exit_codes
from tuning_trial.curve import FILE, read_lines
from tuning_trial.environment import Fidelity, Objective


def a_session(**fields: Any) -> Session:
    return Session(Environment(**fields))


def test_parameters_are_the_given_ones_over_the_defaults() -> None:
    session = a_session(parameters={"lr": 1, "layers": 2, "extra": "x"})
    assert session.parameters(lr=0.1, layers=1, width=8) == {"lr": 1.0, "layers": 2, "width": 8, "extra": "x"}
    assert isinstance(session.parameters(lr=0.1)["lr"], float)
    assert a_session().parameters(lr=0.1) == {"lr": 0.1}


def test_the_report_file_is_rewritten_in_place_and_cut_to_its_length(tmp_path: Path) -> None:
    file = tmp_path / "termination"
    file.write_text("x" * 8000)
    inode = file.stat().st_ino
    session = a_session(termination_file=file, objectives=(Objective("a", True),))
    session.report(1, steps=3, a=0.5, b=1)
    assert Report.parse(file.read_text()).final == {"a": 0.5, "b": 1}
    assert not Report.parse(file.read_text()).done
    session.report(2, a=0.25)
    session.artifact("weights", "model.pt")
    session.finish()
    report = Report.parse(file.read_bytes())
    assert (report.step, report.steps, report.done) == (2, 3, True)
    assert report.best["a"].step == 1
    assert report.artifacts == {"weights": "model.pt"}
    assert file.stat().st_ino == inode


def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = a_session(termination_file=tmp_path / "absent" / "file")
    session.report(1, a=1)
    session.report(2, a=1)
    session.finish()
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [("InvalidSetting", 42), ("OutOfMemory", 43), ("Diverged", 44), ("TryAgain", 75), ("Broken", 1)],
)
def test_fail_tells_the_reason_and_gives_its_exit_code(tmp_path: Path, reason: str, code: int) -> None:
    session = a_session(termination_file=tmp_path / "f")
    assert session.fail(reason, "why") == code
    report = Report.parse((tmp_path / "f").read_text())
    assert report.error is not None
    assert (report.error.reason, report.error.message, report.done) == (reason, "why", False)
    session.finish()
    assert not session.snapshot().done


def test_the_codes_are_those_of_the_contract() -> None:
    assert exit_codes.REASONS[exit_codes.INVALID_SETTING] == "InvalidSetting"
    assert (exit_codes.DONE, exit_codes.STOPPED, exit_codes.TRY_AGAIN) == (0, 143, 75)


def test_a_checkpoint_directory_is_made(tmp_path: Path) -> None:
    assert a_session(checkpoint_dir=tmp_path / "a" / "b").checkpoint_dir().is_dir()
    scratch = a_session()
    assert scratch.checkpoint_dir().is_dir()
    assert scratch.checkpoint_dir() == scratch.checkpoint_dir()


def test_reports_from_many_threads_are_all_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    session = a_session(termination_file=file)

    def work(number: int) -> None:
        for step in range(50):
            session.report(step, **{f"m{number}": step})
            Report.parse(session.snapshot().to_json())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Report.parse(file.read_text()).final == {f"m{n}": 49 for n in range(8)}


def scrape(session: Session) -> dict[str, float]:
    assert session.server is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{session.server.port}/metrics") as answer:
        text = answer.read().decode()
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize(
    ("fidelity", "stops"),
    [
        pytest.param(None, [False, False, False], id="never without a budget"),
        pytest.param(Fidelity(max=9, until=9, rungs=(1, 3, 9)), [False, False, False], id="not at the full budget"),
        pytest.param(Fidelity(max=27, until=9, rungs=(1, 3, 9, 27)), [False, False, True], id="at its own budget"),
        pytest.param(Fidelity(max=27, until=8), [False, False, True], id="beyond its own budget"),
    ],
)
def test_a_trial_is_to_stop_where_its_budget_ends(fidelity: Fidelity | None, stops: list[bool]) -> None:
    session = a_session(fidelity=fidelity, objectives=(Objective("a", True),))
    asked = []
    for step in (1, 3, 9):
        session.report(step, a=step)
        asked.append(session.should_stop())
    assert asked == stops
    assert session.budget() == (fidelity.until if fidelity else None)


def test_rungs_are_served_one_gauge_each() -> None:
    objectives = (Objective("val_accuracy", True), Objective("loss", False))
    session = a_session(metrics_port=0, fidelity=Fidelity(max=9, until=9, rungs=(1, 3, 9)), objectives=objectives)
    assert session.server is not None
    try:
        session.report(1, val_accuracy=0.5, loss=2)
        session.report(3, val_accuracy=0.75, loss=1)
        rungs = {name: value for name, value in scrape(session).items() if name.startswith("tuning_rung")}
        assert rungs == {
            'tuning_rung{budget="1",metric="val_accuracy"}': 0.5,
            'tuning_rung{budget="1",metric="loss"}': 2,
            'tuning_rung{budget="3",metric="val_accuracy"}': 0.75,
            'tuning_rung{budget="3",metric="loss"}': 1,
        }
    finally:
        session.server.close()


def test_the_curve_is_written_in_a_study_only(tmp_path: Path) -> None:
    a_session(checkpoint_dir=tmp_path / "alone").report(1, a=1)
    assert not (tmp_path / "alone").exists()
    session = a_session(checkpoint_dir=tmp_path / "study", trial="t")
    session.report(1, a=0.5)
    session.report(2, a=float("nan"))
    assert read_lines(tmp_path / "study" / FILE) == [{"step": 1, "a": 0.5}, {"step": 2, "a": None}]


def test_metrics_are_served_with_the_step_they_belong_to() -> None:
    session = a_session(metrics_port=0)
    assert session.server is not None
    try:
        assert scrape(session) == {}
        session.report(3, val_accuracy=0.5, loss=float("nan"))
        values = scrape(session)
        assert (values["tuning_step"], values["tuning_val_accuracy"]) == (3, 0.5)
        assert values["tuning_loss"] != values["tuning_loss"]
        done = threading.Event()

        def work() -> None:
            step = 4
            while not done.is_set():
                session.report(step, val_accuracy=step)
                step += 1

        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(30):
            values = scrape(session)
            if values["tuning_step"] >= 4:
                assert values["tuning_step"] == values["tuning_val_accuracy"]
        done.set()
        thread.join()
    finally:
        session.server.close()


def test_a_port_that_is_taken_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    first = a_session(metrics_port=0)
    assert first.server is not None
    try:
        second = a_session(metrics_port=first.server.port)
        second.report(1, a=1)
        assert second.server is None
        assert "cannot be served" in capsys.readouterr().err
    finally:
        first.server.close()
