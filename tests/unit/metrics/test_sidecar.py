"""The sidecar as a process beside a trial that serves metrics, and then does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tuning_operator.api.study import Goal, Objective, Summarize
from tuning_operator.metrics.live import Live
from tuning_operator.metrics.sidecar import BODY_MAX, GRACE, State, fetch, last_words, watch
from tuning_trial.report import MAX_BYTES, Best, Report
from tuning_trial.termination import TerminationFile

LOSS = Objective(metric="loss", goal=Goal.MINIMIZE)


class Trial:
    """Serves whatever body it is given; a function of the request, or bytes."""

    def __init__(self) -> None:
        self.body: bytes | Callable[[BaseHTTPRequestHandler], None] = b""
        trial = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if callable(trial.body):
                    trial.body(self)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(trial.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial()
    yield made
    made.close()


class Sidecar:
    def __init__(self, trial: Trial, file: Path, **environ: str) -> None:
        self.file = file
        self.port = free_port()
        objectives = [{"metric": "loss", "goal": "Minimize", "summarize": "Mean", "window": 2}]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tuning_operator.cli.main", "sidecar", f"--port={trial.port}",
             f"--listen={self.port}", f"--file={file}", "--metric=size"],
            env=os.environ | {"TUNING_OBJECTIVES": json.dumps(objectives)} | environ,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, after: int = 0) -> tuple[int, Report | None]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/report?after={after}", timeout=5) as answer:
            text = answer.read()
            return int(answer.headers["Tuning-Cursor"]), Report.parse(text) if answer.status == 200 else None

    def until(self, there: Callable[[Report], object]) -> Report:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            report = report_in(self.file)
            if report is not None and there(report):
                return report
            time.sleep(0.05)
        raise AssertionError(f"{self.file.read_text() if self.file.exists() else 'no report'}")

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(GRACE + 5) == 0
        return self.file.read_text()


def free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def report_in(file: Path) -> Report | None:
    return last_words(file.read_text())[0] if file.exists() else None


def test_a_trials_life(trial: Trial, tmp_path: Path) -> None:
    """Followed, asked for with the cursor, and its last state kept when it is gone."""
    trial.body = b"tuning_step 1\ntuning_loss 4\nsize 2\n"
    sidecar = Sidecar(trial, tmp_path / "log", TUNING_FIDELITY='{"rungs":[2,9],"until":9,"max":9}')
    try:
        first = sidecar.until(lambda report: report.step == 1)
        assert first.final == {"loss": 4.0, "size": 2.0}
        cursor, report = sidecar.ask()
        assert report == first
        assert sidecar.ask(cursor) == (cursor, None)
        trial.body = b"tuning_step 3\ntuning_loss 2\nsize 2\n"
        sidecar.until(lambda report: report.step == 3)
        moved, report = sidecar.ask(cursor)
        assert moved == cursor + 1
        assert report is not None
        assert (report.mean, report.best, report.rungs) == (
            {"loss": 3.0}, {"loss": Best(2.0, 3)}, {2: {"loss": 3.0}}
        )  # fmt: skip
        trial.close()
        gone = time.time()
        left, at = last_words(sidecar.stop())
    finally:
        sidecar.process.kill()
        sidecar.process.wait()
    assert left == report
    assert at is not None
    assert gone - 3 < at <= gone


def test_what_a_trial_says_while_it_is_stopping_is_seen(trial: Trial, tmp_path: Path) -> None:
    trial.body = b"loss 4\n"
    sidecar = Sidecar(trial, tmp_path / "log")
    try:
        sidecar.until(lambda report: report.final == {"loss": 4.0})
        sidecar.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        trial.body = b"loss 1\n"
        sidecar.until(lambda report: report.final == {"loss": 1.0})
        trial.close()
        assert sidecar.process.wait(GRACE + 5) == 0
    finally:
        sidecar.process.kill()
        sidecar.process.wait()


def followed(trial: Trial, *, seconds: float = 1.5) -> State:
    """A look each second for so long, in this process."""
    state, stop = State(Live([LOSS]), keep=["loss"], file=TerminationFile(None)), threading.Event()
    threading.Timer(seconds, stop.set).start()
    trial_port = trial.port
    threading.Timer(seconds, trial.close).start()
    watch(state, fetch=lambda: fetch(trial_port, "/metrics"), metrics=["loss"], budgets=[], stop=stop)
    return state


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(64):
        handler.wfile.write(b"x" * (1 << 16))


def slow(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"loss ")
        time.sleep(0.1)


NODE_EXPORTER = b"".join(
    b'# HELP node_cpu_seconds_total Seconds.\n# TYPE node_cpu_seconds_total counter\n'
    b'node_cpu_seconds_total{cpu="%d",mode="idle"} 1.2e+06\n' % cpu
    for cpu in range(2000)
)  # fmt: skip
HOSTILE: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {
    "nothing": b"",
    "huge": b"loss 1\n" + b"x" * BODY_MAX,
    "endless": endless,
    "slow": slow,
    "garbage": bytes(range(256)) * 1000,
    "two series": b'loss{a="1"} 1\nloss{a="2"} 2\n',
    "an error": lambda handler: handler.send_error(500),
    "a redirect": lambda handler: handler.send_error(302),
    "not a number at all": b"loss one\n",
    "somebody else's metrics": NODE_EXPORTER,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bodies_leave_no_report(trial: Trial, kind: str) -> None:
    trial.body = HOSTILE[kind]
    assert followed(trial).since(0) == (0, "")


@pytest.mark.parametrize(
    ("body", "final"),
    [
        (b"loss NaN\n", '"NaN"'), (b"loss 1e999\n", '"Infinity"'), (b"loss -Inf\n", '"-Infinity"'),
        (NODE_EXPORTER + b"loss 0.5\n", "0.5"), (b"tuning_loss 1\nloss 2\n", "1.0"), (b"loss 1 1700000000000\n", "1.0"),
    ],
    ids=["NaN", "too large", "-Inf", "among a thousand others", "ours before others", "with a time"],
)  # fmt: skip
def test_odd_values_are_reported_as_they_are(trial: Trial, body: bytes, final: str) -> None:
    trial.body = body
    _, text = followed(trial).since(0)
    assert f'"final":{{"loss":{final}}}' in text


def test_the_last_words_of_a_sidecar() -> None:
    report, at = last_words('{"v":1,"step":3,"final":{"loss":0.5},"at":1795637583.9}')
    assert report is not None
    assert (report.final, at) == ({"loss": 0.5}, 1795637583.9)
    for text in ("", "words", "{}", "[1]", '{"v":1,"final":{"loss":"x"}}', "x" * (MAX_BYTES + 1)):
        assert last_words(text) == (None, None)
    for when in ('"soon"', "true", "1e999", "-1", "null"):
        assert last_words(f'{{"v":1,"at":{when}}}')[1] is None


def test_the_mean_is_of_what_was_seen_each_second() -> None:
    mean = Objective(metric="loss", goal=Goal.MINIMIZE, summarize=Summarize.MEAN, window=9)
    state = State(Live([mean]), keep=["loss"], file=TerminationFile(None))
    for step, value in enumerate((4, 2, 0)):
        state.take(f"tuning_step {step}\nloss {value}\n", ["loss"], [], now=float(step))
    assert state.since(2)[0] == 3
    assert Report.parse(state.since(2)[1]).mean == {"loss": 2.0}
