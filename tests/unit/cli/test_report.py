import base64
import gzip
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tuning_operator.cli.report.data import ReportData, report_data
from tuning_operator.cli.report.figures import figures
from tuning_operator.cli.report.page import page

SPACE = [
    {"name": "lr", "float": {"min": 1e-4, "max": 1e-1, "scale": "Log"}},
    {"name": "layers", "int": {"min": 1, "max": 4}},
    {"name": "optimizer", "choice": ["sgd", "adam"]},
    {"name": "momentum", "float": {"min": 0, "max": 1}, "when": [{"parameter": "optimizer", "values": ["sgd"]}]},
]


def a_trial(number: int, *, state: str = "Succeeded", role: str = "Search", **more: Any) -> dict[str, Any]:
    parameters = {"lr": 10 ** (-1 - number % 3), "layers": 1 + number % 4, "optimizer": ["sgd", "adam"][number % 2]}
    if number % 2 == 0:
        parameters["momentum"] = 0.1 * (number % 10)
    values = {"acc": 0.5 + 0.01 * number} if state == "Succeeded" else {}
    result = {"state": state, "reason": "Completed", "values": values, "metrics": values} | more
    return {
        "spec": {"number": number, "role": role, "parameters": parameters, "suggestion": {"by": "TPE", "known": 0}},
        "status": {
            "state": state,
            "startTime": f"2026-01-01T00:00:{number:02d}Z",
            "completionTime": f"2026-01-01T00:00:{number + 2:02d}Z",
            "result": result,
        },
    }


def a_report(*trials: dict[str, Any], name: str = "digits", **status: Any) -> ReportData:
    spec = {
        "objectives": [{"metric": "acc", "goal": "Maximize"}],
        "parameters": SPACE,
        "trial": {"trainer": {"data": {"name": "digits"}}},
    }
    succeeded = [trial for trial in trials if trial["status"]["state"] == "Succeeded"]
    best = {"number": succeeded[-1]["spec"]["number"]} if succeeded else {}
    return report_data(
        {"metadata": {"name": name}, "spec": spec, "status": {"state": "Succeeded", "best": best, **status}}, trials
    )


def titles(data: ReportData) -> list[str]:
    return [figure.title for figure in figures(data) if figure.title]


def test_a_study_with_one_objective_has_these_plots() -> None:
    wanted = ["History", "Importances", "Interactions", "Parallel coordinates", "Slices", "Timeline"]
    assert titles(a_report(*map(a_trial, range(24)))) == wanted


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param([], id="no trials"),
        pytest.param([a_trial(0)], id="one trial"),
        pytest.param([a_trial(0, state="Failed"), a_trial(1, state="Stopped")], id="no success"),
    ],
)
def test_without_values_there_is_nothing_to_draw_and_still_a_report(trials: list[dict[str, Any]]) -> None:
    data = a_report(*trials)
    assert figures(data) == []
    assert "<h1>digits" in page(data, [])


def test_failed_and_stopped_trials_are_in_the_table_with_their_reason() -> None:
    trials = [a_trial(0), a_trial(1, state="Failed", reason="OutOfMemory", message="12 GiB asked for"), a_trial(2)]
    html = page(a_report(*trials), [])
    assert "OutOfMemory: 12 GiB asked for" in html
    assert 'class="failed"' in html


def test_what_others_wrote_is_text_and_never_markup() -> None:
    evil = "<script>alert(1)</script>"
    data = a_report(a_trial(0), a_trial(1), a_trial(2, state="Failed", reason=evil, message=evil), name=evil)
    html = page(data, figures(data))
    assert evil not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_report_is_one_file_of_sane_size_with_plotly_in_it_once() -> None:
    data = a_report(*map(a_trial, range(12)))
    html = page(data, figures(data))
    packed = re.findall(r'<script type="text/plain" id="plotly">([^<]+)</script>', html)
    assert len(packed) == 1
    assert b"plotly.js v" in gzip.decompress(base64.b64decode(packed[0]))[:200]
    assert len(html) < 2_300_000
    for figure in re.findall(r'class="figure">(.*?)</script>', html, re.DOTALL):
        assert json.loads(figure)["data"]


def test_a_report_without_plots_carries_no_library() -> None:
    assert len(page(a_report(), [])) < 20_000


def test_the_final_run_and_its_test_score_stand_at_the_top() -> None:
    final = a_trial(3, role="Final", values={}, metrics={"test_acc": 0.975})
    html = page(a_report(a_trial(0), a_trial(1), final), [])
    assert html.index("test_acc") < html.index("<h2>")
    assert "0.975" in html


def test_the_plots_need_neither_torch_nor_scikit_learn() -> None:
    program = (
        "import sys\n"
        "for name in ('sklearn', 'scipy', 'torch', 'pandas', 'matplotlib'): sys.modules[name] = None\n"
        "from tests.unit.cli.test_report import a_report, a_trial\n"
        "from tuning_operator.cli.report.figures import figures\n"
        "print(len(figures(a_report(*map(a_trial, range(12))))))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.stdout == "5\n", found.stderr
