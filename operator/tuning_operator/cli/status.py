"""`tuning status`: the studies of this machine, as `kubectl get tstudy` shows those of a cluster."""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from tuning_operator.cli import summary, words
from tuning_operator.cli.exits import BAD_INPUT, SUCCEEDED
from tuning_operator.cli.places import ledgers
from tuning_operator.core.model import Trial
from tuning_operator.local.ledger import Ledger, LedgerError

_COLUMNS = ("NAME", "STATE", "TRIALS", "RUNNING", "FAILED", "BEST", "AGE")
_TRIAL_COLUMNS = ("TRIAL", "ROLE", "STATE", "VALUE", "TIME", "PARAMETERS")


def status(options: argparse.Namespace) -> int:
    try:
        found = ledgers(options.place)
    except LedgerError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    if options.output == "json":
        print(json.dumps([summary.as_json(ledger) for ledger in found], indent=1))
        return SUCCEEDED
    print(aligned([_COLUMNS, *(_row(ledger) for ledger in found)]))
    if len(found) == 1:
        print()
        print(_trials(found[0]))
        print()
        print(summary.as_text(found[0]))
    return SUCCEEDED


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _row(ledger: Ledger) -> tuple[str, ...]:
    status, counts = ledger.status, ledger.status.get("counts", {})
    return (
        ledger.study.name,
        state(ledger),
        str(counts.get("total", 0)),
        str(counts.get("running", 0)) if ledger.busy() else "0",
        str(counts.get("failed", 0)),
        status.get("bestValue", ""),
        words.duration(time.time() - ledger.study.created_at),
    )


def state(ledger: Ledger) -> str:
    """A study that nobody runs, unfinished, was interrupted."""
    said = str(ledger.status.get("state", "Pending"))
    return "Interrupted" if said in ("Pending", "Running", "Finishing") and not ledger.busy() else said


def _trials(ledger: Ledger) -> str:
    rows = [(_trial_row(ledger, trial), trial.rungs) for trial in ledger.trials]
    if not any(rungs for _, rungs in rows):
        return aligned([_TRIAL_COLUMNS, *(row for row, _ in rows)])
    head = (*_TRIAL_COLUMNS[:-1], "RUNG", _TRIAL_COLUMNS[-1])
    return aligned([head, *((*row[:-1], str(rungs[-1].budget) if rungs else "", row[-1]) for row, rungs in rows)])


def _trial_row(ledger: Ledger, trial: Trial) -> tuple[str, ...]:
    result = trial.result
    metrics = [objective.metric for objective in ledger.study.spec.objectives]
    reached = trial.rungs[-1].values if trial.rungs else {}
    values = reached if result is None or not result.values else result.values
    shown = ", ".join(words.number(values[metric]) for metric in metrics if metric in values)
    took = None if trial.started_at is None or trial.ended_at is None else trial.ended_at - trial.started_at
    return (
        str(trial.number),
        trial.role.value,
        (result.state if result is not None else trial.recorded_state).value,
        shown or (result.reason if result is not None else ""),
        "" if took is None else words.duration(took),
        words.parameters(trial.suggestion.parameters),
    )
