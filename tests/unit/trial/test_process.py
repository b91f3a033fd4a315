"""The SDK in processes of its own: how a trial ends, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import tuning_trial
from tuning_trial import Report

TRAINER = Path(tuning_trial.__file__).parent.parent


def start(script: str, file: Path | None = None, **variables: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNING_")}
    environment |= {"PYTHONPATH": str(TRAINER), **variables}
    if file is not None:
        environment |= {"TUNING_TRIAL": "t", "TUNING_TERMINATION_FILE": str(file)}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(script: str, file: Path | None = None, **variables: str) -> tuple[int, str, str]:
    process = start(script, file, **variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(file: Path) -> None:
    until = time.monotonic() + 30
    while not (file.exists() and file.read_text().endswith("}")):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_without_an_operator_a_script_runs_and_leaves_nothing(tmp_path: Path) -> None:
    script = """
        import tuning_trial
        p = tuning_trial.parameters(lr=0.5)
        tuning_trial.report(1, loss=p["lr"])
        print(p, tuning_trial.should_stop(), tuning_trial.checkpoint_dir().exists())
    """
    code, out, err = run(script, TMPDIR=str(tmp_path))
    assert (code, out, err) == (0, "{'lr': 0.5} False True\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_import_is_light() -> None:
    script = """
        import sys, tuning_trial
        tuning_trial.report(1, a=1)
        print([m for m in ("prometheus_client", "torch", "numpy", "pydantic", "http.server") if m in sys.modules])
    """
    assert run(script)[1] == "[]\n"


def test_the_function_and_the_module_of_reports_live_side_by_side() -> None:
    script = """
        import tuning_trial
        from tuning_trial.report import Report
        tuning_trial.report(1, a=1)
        print(Report is tuning_trial.Report)
    """
    assert run(script)[1] == "True\n"


@pytest.mark.parametrize(
    ("end", "code", "done", "reason"),
    [
        pytest.param("pass", 0, True, None, id="the normal end is done"),
        pytest.param("raise ValueError('bad shape')", 1, False, "Exception", id="an exception is told"),
        pytest.param("sys.exit(tuning_trial.fail('Diverged', 'x'))", 44, False, "Diverged", id="a failure is told"),
        pytest.param("os._exit(3)", 3, False, None, id="a sudden end keeps the last report"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", -9, False, None, id="so does a kill"),
        pytest.param("os.fork() or os._exit(0); os.wait()", 0, True, None, id="a child does not end the trial"),
    ],
)
def test_how_a_script_ends(tmp_path: Path, end: str, code: int, done: bool, reason: str | None) -> None:
    script = f"""
        import os, signal, sys, tuning_trial
        tuning_trial.report(4, loss=1.5)
        {end}
    """
    file = tmp_path / "termination"
    assert run(script, file)[0] == code
    report = Report.parse(file.read_text())
    assert (report.step, report.final, report.done) == (4, {"loss": 1.5}, done)
    assert (report.error.reason if report.error else None) == reason


ASKS = """
    import sys, time, tuning_trial
    tuning_trial.should_stop()
    tuning_trial.report(1, a=1)
    while not tuning_trial.should_stop():
        time.sleep(0.01)
    print("saved", flush=True)
    sys.exit(tuning_trial.exit_codes.STOPPED)
"""
NEVER_ASKS = """
    import time, tuning_trial
    tuning_trial.report(1, a=1)
    try:
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""
CHAINS = """
    import signal, time, tuning_trial
    signal.signal(signal.SIGTERM, lambda *a: print("mine too", flush=True))
    tuning_trial.report(1, a=1)
    while not tuning_trial.should_stop():
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        pytest.param(ASKS, 143, "saved\n", id="one that asks saves and says 143"),
        pytest.param(NEVER_ASKS, 143, "cleaned up\n", id="one that never asks ends at once with 143"),
        pytest.param(CHAINS, 0, "mine too\n", id="an earlier handler still works"),
    ],
)
def test_sigterm(tmp_path: Path, script: str, code: int, out: str) -> None:
    file = tmp_path / "termination"
    process = start(script, file)
    wait_for(file)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == out
    assert process.returncode == code
    assert not Report.parse(file.read_text()).done
