"""The report of a real local study."""

import re
import sys
from dataclasses import replace

from tests.local.studies import AStudy, run, tuning

LEARNING = """
import tuning_trial as trial
x = trial.parameters()["x"]
for step in range(1, 6):
    trial.report(step, loss=(x - 1) ** 2 + 1 / step)
"""


def test_the_report_shows_what_trials_reported_step_by_step(a_study: AStudy) -> None:
    study = replace(a_study, command=(sys.executable, "-c"), script=LEARNING)
    assert run(study).code == 0
    made = tuning(study.directory, "report", study.write())
    assert (made.code, made.out) == (0, ".tuning/square/report.html\n")
    html = (study.ledger / "report.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", html)[2:4] == ["History", "Learning curves"]


def test_a_report_of_nothing_says_what_to_run(a_study: AStudy) -> None:
    made = tuning(a_study.directory, "report", a_study.write())
    assert made.code == 2
    assert "no study has run here yet; start one with: tuning run FILE" in made.err
