"""The sidecar of `metrics.source: Sidecar`: scrapes the trial beside it each second and keeps the report it left out.

It runs as a native sidecar in the trial's pod, from the operator's image, with no right to the API. Its termination
message is the report of the trial contract, rewritten when it changed, so that it stands in the API when the pod has
ended, whoever was there to see it. While the trial runs, the operator asks for the report by HTTP, with the cursor of
the last answer: nothing is sent twice, and nothing that was seen in between is lost, since the report is made here.

On SIGTERM the trial has ended, or is about to: it looks on until nobody answers any more, at most `GRACE` seconds.
"""

import argparse
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tuning_operator.api.study import Objective
from tuning_operator.metrics.exposition import read
from tuning_operator.metrics.live import Live
from tuning_trial.report import MAX_BYTES, Report, ReportError
from tuning_trial.termination import TerminationFile

PORT: Final = 9465
PATH: Final = "/report"
AFTER: Final = "after"
CURSOR: Final = "Tuning-Cursor"
INTERVAL: Final = 1.0
GRACE: Final = 5.0
BODY_MAX: Final = 1 << 20
TIMEOUT: Final = 2.0
LOOKED_AT: Final = "at"
"""Field of the last report only: when the values were seen last, in Unix seconds."""
_LAST_INTERVAL: Final = 0.1
_ADDRESSES: Final = ("127.0.0.1", "::1")


class State:
    """The report as it stands, and how often it has changed."""

    def __init__(self, live: Live, *, keep: Sequence[str], file: TerminationFile) -> None:
        self._live = live
        self._keep = keep
        self._file = file
        self._lock = threading.Lock()
        self._text = ""
        self._cursor = 0
        self.looked_at: float | None = None

    def take(self, body: str, metrics: Sequence[str], budgets: Sequence[int], *, now: float) -> None:
        """What one scrape said. Raises `ValueError` where it is ambiguous."""
        report = self._live.add(read(body, metrics, budgets))
        if report is None:
            return
        self.looked_at = now
        text = report.to_json(keep=self._keep)
        with self._lock:
            if text == self._text:
                return
            self._text, self._cursor = text, self._cursor + 1
        self._file.write(text)

    def since(self, cursor: int) -> tuple[int, str]:
        """The report if it has changed since then, else nothing; and where it stands now."""
        with self._lock:
            return self._cursor, "" if cursor == self._cursor else self._text

    def close(self) -> None:
        """The last words: with them, how old they are."""
        if self._text and self.looked_at is not None:
            body = json.loads(self._text) | {LOOKED_AT: round(self.looked_at, 3)}
            text = json.dumps(body, separators=(",", ":"))
            self._file.write(text if len(text) <= MAX_BYTES else self._text)


def last_words(message: str) -> tuple[Report | None, float | None]:
    """The report that a sidecar left, and when its values were seen; nothing where it is none."""
    try:
        report = Report.parse(message)
        at = json.loads(message).get(LOOKED_AT)
    except (ReportError, ValueError, RecursionError):
        return None, None
    known = isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < 1e12
    return report, float(at) if known else None


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    options = _parser().parse_args(arguments)
    objectives = [Objective.model_validate(each) for each in json.loads(environ["TUNING_OBJECTIVES"])]
    budgets: list[int] = json.loads(environ.get("TUNING_FIDELITY") or "{}").get("rungs") or []
    keep = [objective.metric for objective in objectives]
    state = State(Live(objectives, budgets), keep=keep, file=TerminationFile(options.file))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = serve(options.listen, state)
    try:
        watch(
            state,
            fetch=lambda: fetch(options.port, options.path),
            metrics=[*keep, *options.metric],
            budgets=budgets,
            stop=stop,
        )
    finally:
        server.shutdown()
    state.close()
    return 0


def watch(
    state: State, *, fetch: Callable[[], str], metrics: Sequence[str], budgets: Sequence[int], stop: threading.Event
) -> None:
    """Look, until it is over."""
    over: float | None = None
    told = ""
    while over is None or time.monotonic() < over:
        began = time.monotonic()
        trouble = ""
        try:
            state.take(fetch(), metrics, budgets, now=time.time())
        except (OSError, ValueError, http.client.HTTPException) as error:
            trouble = str(error) or repr(error)
            if over is not None:
                return  # nobody answers any more
        if trouble and trouble != told:
            print(f"no values: {trouble}", flush=True)
        told = trouble
        if over is None and stop.wait(max(0.0, began + INTERVAL - time.monotonic())):
            over = time.monotonic() + GRACE
        elif over is not None:
            time.sleep(_LAST_INTERVAL)


def fetch(port: int, path: str) -> str:
    """What the trial serves, on whichever loopback address; bounded in size and time."""
    trouble: OSError | None = None
    for address in _ADDRESSES:
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
        try:
            connection.request("GET", path, headers={"Accept": "text/plain;version=0.0.4", "Connection": "close"})
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(f"port {port}{path} answered {response.status}")
            return _bounded(response, until=time.monotonic() + TIMEOUT).decode("utf-8", "replace")
        except OSError as error:
            trouble = trouble or error
        finally:
            connection.close()
    raise trouble or OSError(f"port {port} does not answer")


def serve(port: int, state: State) -> ThreadingHTTPServer:
    """`GET /report?after=CURSOR`: the report, or 204 if it is the one of that cursor."""

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path != PATH:
                self.send_error(404)
                return
            after = parse_qs(asked.query).get(AFTER, ["0"])[0]
            cursor, text = state.since(int(after) if after.isdecimal() and len(after) < 18 else 0)
            self.send_response(200 if text else 204)
            self.send_header(CURSOR, str(cursor))
            if text:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode("ascii"))

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing of being asked."""

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="serve", daemon=True).start()
    return server


def _bounded(response: http.client.HTTPResponse, *, until: float) -> bytes:
    body = bytearray()
    while piece := response.read1(1 << 16):
        body += piece
        if len(body) > BODY_MAX:
            raise ValueError(f"its metrics have more than {BODY_MAX} bytes")
        if time.monotonic() > until:
            raise TimeoutError("its metrics take too long to come")
    return bytes(body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tuning sidecar", description="Follow the trial in the same pod.")
    parser.add_argument("--port", type=int, required=True, help="where the trial serves its metrics")
    parser.add_argument("--path", default="/metrics")
    parser.add_argument("--listen", type=int, default=PORT, help="where the operator asks for the report")
    parser.add_argument("--metric", action="append", default=[], help="besides the objectives; may be repeated")
    parser.add_argument("--file", type=Path, default=Path("/dev/termination-log"), help="where the report is kept")
    return parser
