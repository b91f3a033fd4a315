"""`tuning report`, and the report at the end of `tuning run`."""

import argparse
import sys
from pathlib import Path

from tuning_operator.cli.main import BAD_INPUT, SUCCEEDED
from tuning_operator.cli.places import ledgers
from tuning_operator.cli.report.data import report_data
from tuning_operator.cli.report.figures import figures
from tuning_operator.cli.report.page import page
from tuning_operator.cli.summary import weights
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.records import study_resource, trial_resource


def report(options: argparse.Namespace) -> int:
    try:
        found = ledgers(options.place)
    except LedgerError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    if options.report is not None and len(found) > 1:
        print(f"--report {options.report}: there are {len(found)} studies here; name one", file=sys.stderr)
        return BAD_INPUT
    for ledger in found:
        path = options.report or ledger.directory / "report.html"
        write(ledger, path)
        print(path)
    return SUCCEEDED


def write(ledger: Ledger, path: Path) -> None:
    data = report_data(
        study_resource(ledger.study, dict(ledger.status)),
        [trial_resource(trial, ledger.study) for trial in ledger.trials],
        files={"ledger": str(ledger.directory), **{name: str(file) for name, file in weights(ledger).items()}},
    )
    path.write_text(page(data, figures(data)), encoding="utf-8")
