"""A real Prometheus of a test's own, on loopback. What pods expose is given to it; it scrapes that twice a second.

Its own discovery tells of new targets each 5 s at most, which is long for a test. So it has one target for all pods, an
exporter that tells whose series are whose by the labels that discovery would have given them.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.testcluster.control_plane import free_ports
from tests.testcluster.processes import Process
from tests.testcluster.programs import PROMETHEUS

INTERVAL = 0.5


class PrometheusServer:
    def __init__(self, directory: Path) -> None:
        self._exporter = _Exporter()
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        job = {
            "job_name": "pods",
            "scrape_interval": f"{INTERVAL * 1000:.0f}ms",
            "scrape_timeout": "400ms",
            "honor_labels": True,
            "static_configs": [{"targets": [self._exporter.address]}],
        }
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"scrape_configs": [job]}))
        command = [
            PROMETHEUS.path(), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn",
        ]  # fmt: skip
        self._process = Process("prometheus", command, log=directory / "prometheus.log", env={"GOMAXPROCS": "1"})

    def expose(self, pods: Mapping[tuple[str, str], str]) -> None:
        """What there is to be scraped from now on: the text of each pod, by namespace and name."""
        lines = [_labelled(line, *pod) for pod, text in pods.items() for line in text.splitlines()]
        self._exporter.text = "\n".join([*lines, ""])

    def ask(self, endpoint: str, **words: str) -> Any:
        """The data of an answer of its API; None where it refuses."""
        address = f"{self.url}/api/v1/{endpoint}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError:
            return None

    def __enter__(self) -> PrometheusServer:
        self._process.start()
        self._process.wait_until(lambda: bool(self.ask("query", query="up == 1")["result"]), timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop(grace=5)
        self._exporter.close()


class _Exporter:
    """`/metrics`: whatever text it holds at the moment."""

    def __init__(self) -> None:
        self.text = ""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(exporter.text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _labelled(line: str, namespace: str, pod: str) -> str:
    series, _, value = line.rpartition(" ")
    own = f'namespace="{namespace}",pod="{pod}"'
    return f"{series[:-1]},{own}}} {value}" if series.endswith("}") else f"{series}{{{own}}} {value}"
