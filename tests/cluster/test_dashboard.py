"""The chart's dashboard: PromQL that Prometheus takes, about metrics that exist, and a curve in every panel."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from tests.cluster.test_alerts import promtool
from tests.helm import CHART, helm, settings
from tests.testcluster.cluster import Cluster
from tests.testcluster.prometheus_server import PrometheusServer
from tuning_operator.api.trial import TrialState
from tuning_operator.cluster.meters import Meters

FILE = CHART / "files" / "dashboard.json"
GRAFANAS = {"$__rate_interval": "3s", "$__range": "1m", "$namespace": ".*"}
"""What Grafana writes in the place of its own words."""
COLUMNS = 24


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    found = []
    for panel in panels():
        for target in panel["targets"]:
            text: str = target["expr"]
            for word, value in GRAFANAS.items():
                text = text.replace(word, value)
            found.append(text)
    return found


def a_meter() -> Meters:
    """Of an operator that has done everything once."""
    meters = Meters()
    meters.state(shard=0, shards=1, queue=2, trials={TrialState.RUNNING.value: 3})
    work(meters)
    return meters


def work(meters: Meters) -> None:
    meters.reconciled(0.01)
    meters.reconcile_failed()
    meters.requested("GET", "jobs", 200)
    meters.requested("POST", "jobs", 500)
    meters.watch_restarted()
    meters.scraped("Direct", "ok")
    meters.spent("nvidia.com/gpu", 30)
    meters.suggested(0.1)
    meters.wrote("a job")
    meters.watched("a job")
    meters.slot_freed("a study")
    meters.slot_filled("a study")


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{index}", "expr": expression} for index, expression in enumerate(expressions())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


def test_it_is_about_metrics_that_the_operator_has() -> None:
    text = generate_latest(a_meter().registry).decode()
    exposed = set(re.findall(r"^(tuning_operator_[a-z_]+)[{ ]", text, re.MULTILINE))

    used = set(re.findall(r"tuning_operator_[a-z_]+", " ".join(expressions())))

    assert used <= exposed
    assert used == set(re.findall(r"\b[a-z_]+(?=\{)", " ".join(expressions())))


def test_panels_have_their_own_place_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] and panel["description"] for panel in panels())


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """One that has scraped an operator at work."""
    with PrometheusServer(tmp_path_factory.mktemp("prometheus")) as server:
        meters = a_meter()
        for _ in range(6):
            work(meters)
            lines = [line for line in generate_latest(meters.registry).decode().splitlines() if line[0] != "#"]
            server.expose({("tuning-system", "tuning-operator-0"): "\n".join(lines)})
            time.sleep(0.6)
        yield server


def test_every_curve_has_values(prometheus: PrometheusServer) -> None:
    for expression in expressions():

        def values(expression: str = expression) -> list[float]:
            found = prometheus.ask("query", query=expression)
            return [float(each["value"][1]) for each in found["result"]] if found else []

        assert values() and not any(map(math.isnan, values())), expression


def test_the_namespace_can_be_chosen(prometheus: PrometheusServer) -> None:
    assert prometheus.ask("label/namespace/values", **{"match[]": "tuning_operator_leader"}) == ["tuning-system"]


def test_the_chart_brings_it_where_it_is_asked_for(control_plane: Cluster, namespace: str) -> None:
    template = ["template", "t", str(CHART), "--namespace", namespace, "--set", "crds.install=false"]
    chosen = settings(metrics__dashboard__enabled=True, metrics__dashboard__annotations={"folder": "ML"})
    text = helm(control_plane, *template, *chosen)
    (found,) = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "ConfigMap"]

    control_plane.apply(found, namespace=namespace)

    stored = control_plane.client.get("configmaps", found["metadata"]["name"], namespace)
    assert stored["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert stored["metadata"]["annotations"]["folder"] == "ML"
    assert json.loads(stored["data"]["tuning-operator.json"]) == dashboard()
    assert "dashboard" not in helm(control_plane, *template)
