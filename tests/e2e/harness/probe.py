"""Says over HTTP what a pod sees of its cluster, and leaves a termination message when it is told to stop."""

import json
import os
import signal
import ssl
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import iniconfig

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = json.dumps({"uid": os.getuid(), "api": ask_api(), "installed": iniconfig.__name__}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def ask_api() -> str:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    request = urllib.request.Request(f"https://{host}:{port}/version")
    request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text()}")
    with urllib.request.urlopen(request, context=tls, timeout=5) as answer:
        return str(json.load(answer)["gitVersion"])


def stop(*_: object) -> None:
    Path("/dev/termination-log").write_text(json.dumps({"loss": 0.5}))
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    HTTPServer(("", 8000), Answer).serve_forever()
