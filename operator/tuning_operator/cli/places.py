"""Where the ledgers are that a person means by a study file, a folder, or nothing."""

from pathlib import Path

from tuning_operator.cli.study_file import BadStudyError, read
from tuning_operator.local.ledger import Ledger, LedgerError

BASE = Path(".tuning")


def ledgers(place: Path | None) -> list[Ledger]:
    """At least one; raises `LedgerError` with what to do if there is none."""
    if place is not None and place.is_file():
        try:
            place = BASE / read(place).name
        except BadStudyError as error:
            raise LedgerError(str(error)) from error
    chosen = place or BASE
    found = [ledger for path in [chosen, *sorted(_inside(chosen))] if (ledger := Ledger(path)).exists()]
    if not found:
        raise LedgerError(f"{chosen}: no study has run here yet; start one with: tuning run FILE")
    return found


def _inside(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []
