"""The chart's alerts, by promtool: well-formed, about metrics that exist, and they ring when they should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from tests.helm import CHART, ROOT
from tests.testcluster.programs import PROMTOOL
from tuning_operator.cluster.meters import Meters

ALERTS = CHART / "files" / "alerts.yaml"
Series = dict[str, str]
RINGS: dict[str, tuple[Series, int, dict[str, str]]] = {
    "TuningOperatorNobodyLeads": ({'tuning_operator_shard_leader{shard="0"}': "0x30"}, 5, {}),
    "TuningOperatorReconcilesFail": ({"tuning_operator_reconcile_failures_total": "0+2x40"}, 30, {}),
    "TuningOperatorApiErrors": (
        {
            'tuning_operator_api_requests_total{code="0"}': "0+3x40",
            'tuning_operator_api_requests_total{code="200"}': "0+9x40",
        }, 20, {},
    ),
    "TuningOperatorQueueStands": ({"tuning_operator_queue_depth": "20x40"}, 15, {}),
    "TuningOperatorWatchRestarts": ({"tuning_operator_watch_restarts_total": "0+1x40"}, 20, {}),
    "TuningOperatorValuesUnreadable": (
        {
            'tuning_operator_scrapes_total{source="Query",outcome="failed"}': "0+9x60",
            'tuning_operator_scrapes_total{source="Query",outcome="ok"}': "0+1x60",
            'tuning_operator_scrapes_total{source="Direct",outcome="ok"}': "0+9x60",
        }, 40, {"source": "Query"},
    ),
}  # fmt: skip
WELL: Series = {
    'tuning_operator_shard_leader{shard="0"}': "1x60",
    "tuning_operator_reconcile_failures_total": "3x60",
    'tuning_operator_api_requests_total{code="0"}': "0+1x60",
    'tuning_operator_api_requests_total{code="200"}': "0+99x60",
    "tuning_operator_queue_depth": "2x60",
    "tuning_operator_watch_restarts_total": "1x60",
    'tuning_operator_scrapes_total{source="Direct",outcome="failed"}': "0+1x60",
    'tuning_operator_scrapes_total{source="Direct",outcome="ok"}': "0+9x60",
}


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


def promtool(*args: object) -> str:
    run = subprocess.run([PROMTOOL.path(), *map(str, args)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_they_are_well_formed() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", ALERTS)


def test_they_are_about_metrics_that_the_operator_has() -> None:
    exposed = set(re.findall(r"^# TYPE (\S+)", generate_latest(Meters().registry).decode(), re.MULTILINE))
    used = set(re.findall(r"tuning_operator_[a-z_]+", " ".join(rule["expr"] for rule in rules())))
    assert used <= exposed


def test_each_has_its_place_in_the_runbook() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    for rule in rules():
        assert f"#### {rule['alert']}\n" in runbook
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("name", [rule["alert"] for rule in rules()])
def test_it_rings_when_it_should_and_not_otherwise(name: str, tmp_path: Path) -> None:
    series, minutes, labels = RINGS[name]
    (rule,) = [rule for rule in rules() if rule["alert"] == name]
    summary = rule["annotations"]["summary"].replace("{{ $labels.source }}", labels.get("source", ""))
    expected = {
        "exp_labels": rule["labels"] | labels,
        "exp_annotations": rule["annotations"] | {"summary": summary},
    }
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": each, "values": values} for each, values in given.items()],
            "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": alerts}],
        }
        for given, alerts in ((series, [expected]), (WELL, []))
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", file)
