"""Values of images that know nothing of us, on a real node: what a kubelet keeps of a log, and a real native sidecar.

Everything is restricted, and the operator has the chart's rights and no others. The operator's image is the trial's,
too: it has a Python, and nothing else is needed here.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from tests.operator_process import wait_for_state
from tests.testcluster.realnode import RealCluster

Object = dict[str, Any]

PRINTS = """
    import os
    x = float(os.environ["TUNING_PARAM_X"])
    print("noise " * 5000)
    for epoch in range(1, 4):
        print(f"Epoch {epoch}/3\\n1/2 loss: 99\\r2/2 - loss: {x + 3 - epoch!r} - size: 1")
    print(f"loss={x!r}", end="")
"""
"""Over within a fraction of a second; the last line has no end."""
SERVES = """
    import http.server, os, threading, time
    x, seen = float(os.environ["TUNING_PARAM_X"]), {"step": 0}
    others = "".join(f'node_cpu_seconds_total{{cpu="{cpu}"}} 1e6\\n' for cpu in range(500))
    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            values = f"loss {x + 4 - seen['step']}\\ntuning_step {seen['step']}\\n"
            self.wfile.write((others + values).encode())
        def log_message(self, *words): pass
    server = http.server.ThreadingHTTPServer(("", 8000), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for step in range(5):
        seen["step"] = step
        time.sleep(2)
"""
"""Five steps of two seconds; no report."""


def a_study(name: str, image: str, script: str, *, container: Object | None = None, **spec: Any) -> Object:
    secured = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["python", "-c", textwrap.dedent(script)]
    main = {"name": "main", "image": image, "command": command, "securityContext": secured} | (container or {})
    base: Object = {
        "objectives": [{"metric": "loss", "goal": "Minimize"}],
        "parameters": [{"name": "x", "choice": [1.0, 2.0]}],
        "algorithm": {"name": "Grid"},
        "limits": {"parallel": 2},
        "trial": {"accelerator": {"count": 0}, "template": {"spec": {"template": {"spec": {"containers": [main]}}}}},
    }
    head = {"apiVersion": "tuning.study/v1alpha1", "kind": "TuningStudy", "metadata": {"name": name}}
    return head | {"spec": base | spec}


def results(cluster: RealCluster, namespace: str, study: str) -> dict[float, Object]:
    """By the value of x."""
    done = wait_for_state(cluster, namespace, study, "Succeeded", "Failed", "Stalled", timeout=120)
    assert done["status"]["state"] == "Succeeded", json.dumps(done["status"])
    found = cluster.client.list("tuningtrials", namespace)
    mine = [trial for trial in found if trial["spec"]["study"] == study]
    return {trial["spec"]["parameters"]["x"]: trial["status"]["result"] for trial in mine}


@pytest.mark.usefixtures("system")
def test_a_short_trial_loses_nothing_that_it_printed(
    real_cluster: RealCluster, namespace: str, operator_image: str
) -> None:
    study = a_study("prints", operator_image, PRINTS, metrics={"logs": {}, "intervalSeconds": 60})
    real_cluster.client.create("tuningstudies", study, namespace)
    for x, result in results(real_cluster, namespace, "prints").items():
        assert (result["values"], result["step"]) == ({"loss": x}, 3)
        assert "lastScrapeAgeSeconds" not in result


@pytest.mark.usefixtures("system")
def test_a_sidecar_follows_an_image_that_only_serves_metrics(
    real_cluster: RealCluster, namespace: str, operator_image: str
) -> None:
    ports = {"ports": [{"name": "metrics", "containerPort": 8000}]}
    study = a_study("serves", operator_image, SERVES, container=ports, metrics={"intervalSeconds": 3600})
    real_cluster.client.create("tuningstudies", study, namespace)
    for x, result in results(real_cluster, namespace, "serves").items():
        assert (result["values"], result["step"]) == ({"loss": x}, 4)
        assert 0 <= result["lastScrapeAgeSeconds"] <= 3
    for pod in real_cluster.client.list("pods", namespace, labels="tuning.study/study=serves"):
        (status,) = pod["status"]["initContainerStatuses"]
        ended = status["state"]["terminated"]
        assert (status["name"], ended["exitCode"]) == ("tuning-sidecar", 0)
        assert len(ended["message"]) < 300
        assert pod["status"]["phase"] == "Succeeded"
