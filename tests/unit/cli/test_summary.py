"""What a study came to, in words."""

from pathlib import Path
from typing import Any

from tests.unit.local.builders import a_spec
from tuning_operator.cli.summary import as_text
from tuning_operator.local.ledger import Ledger


def a_ledger(directory: Path, **status: Any) -> Ledger:
    ledger = Ledger(directory / "digits")
    ledger.lock()
    ledger.open(name="digits", spec=a_spec(), source="", now=1000.0)
    ledger.write_status({"state": "Succeeded", **status})
    ledger.unlock()
    return ledger


def test_rungs_front_and_further_runs_have_their_lines(tmp_path: Path) -> None:
    rungs = [
        {"bracket": 0, "budget": 1, "reached": 9, "promoted": 3, "best": "0.5"},
        {"bracket": 1, "budget": 3, "reached": 3, "promoted": 1},
    ]
    front = [{"number": number, "values": {"acc": 0.5, "size": number}} for number in range(10)]
    confirmed = [{"number": 4, "values": {"acc": 0.75}, "runs": 3}]
    text = as_text(a_ledger(tmp_path, rungs=rungs, front=front, confirmed=confirmed))
    assert "rungs       step 1: 9 reached it, 3 went on, best 0.5" in text
    assert "            step 3: 3 reached it, 1 went on (bracket 1)" in text
    assert "front       trial 0: acc=0.5 size=0" in text
    assert "            and 2 more; all stand in the report" in text
    assert "confirmed   trial 4: acc=0.75 over 3 further runs" in text


def test_a_study_without_them_has_none_of_these_lines(tmp_path: Path) -> None:
    assert as_text(a_ledger(tmp_path)).splitlines() == ["digits succeeded"]
