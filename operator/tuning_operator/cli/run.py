"""`tuning run`: a study on this machine, from its file to its report."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tuning_operator.api.study import StudySpec
from tuning_operator.cli import summary
from tuning_operator.cli.exits import BAD_INPUT, FAILED, INTERRUPTED, SUCCEEDED, SUSPENDED
from tuning_operator.cli.lines import LinesDisplay
from tuning_operator.cli.study_file import BadStudyError, Rereader, StudyFile, read
from tuning_operator.local.command import not_done_here
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.machine import this_machine
from tuning_operator.local.runner import Outcome, Runner, Setting
from tuning_operator.local.warmstart import sources
from tuning_operator.search.warmstart import Learned, learn

if TYPE_CHECKING:
    from tuning_operator.cli.table import TableDisplay

CODES = {
    Outcome.SUCCEEDED: SUCCEEDED,
    Outcome.FAILED: FAILED,
    Outcome.STALLED: FAILED,
    Outcome.SUSPENDED: SUSPENDED,
    Outcome.INTERRUPTED: INTERRUPTED,
}


def run(options: argparse.Namespace) -> int:
    try:
        file = read(options.file)
        ledger = _ledger(options, file)
        earlier = _earlier(file, ledger)
        ledger.open(name=file.name, spec=_limited(file.spec, options), source=file.text, now=time.time())
    except (BadStudyError, LedgerError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    try:
        outcome = _watch(options, file, ledger, earlier)
        _tell(options, ledger, outcome)
        return CODES[outcome]
    except OSError as error:
        print(f"{ledger.directory}: {error}; what is recorded so far stands, and a second run goes on", file=sys.stderr)
        return FAILED
    finally:
        ledger.unlock()


def _ledger(options: argparse.Namespace, file: StudyFile) -> Ledger:
    """Open and locked; whatever was there before is kept aside if a person asks to begin again."""
    directory: Path = (options.dir or Path(".tuning") / file.name).absolute()
    ledger = Ledger(directory)
    ledger.lock()
    if options.restart and ledger.exists():
        kept = ledger.set_aside()
        ledger.unlock()
        print(f"the results so far are kept in {kept}", file=sys.stderr)
        ledger = Ledger(directory)
        ledger.lock()
    return ledger


def _limited(spec: StudySpec, options: argparse.Namespace) -> StudySpec:
    if options.trials is None:
        return spec
    return spec.model_copy(update={"limits": spec.limits.model_copy(update={"trials": options.trials})})


def _earlier(file: StudyFile, ledger: Ledger) -> Learned:
    """What other studies teach. A source that is not there is a mistake before the first trial, and a note later: what
    runs goes on.
    """
    before = ledger.study.created_at if ledger.exists() else time.time()
    found = sources(file.spec, ledger=ledger.directory, directory=file.path.absolute().parent, before=before)
    missing = [f"{file.path}: spec.warmStart: {source.name}: {source.problem}" for source in found if source.problem]
    if missing and not ledger.exists():
        raise BadStudyError("\n".join(missing))
    return learn(file.spec, found)


def _watch(options: argparse.Namespace, file: StudyFile, ledger: Ledger, earlier: Learned) -> Outcome:
    with _display(options) as display:

        def reread() -> StudySpec | None:
            spec = changes()
            return None if spec is None else _limited(spec, options)

        changes = Rereader(file, display.note)
        setting = Setting(this_machine(), file.path.absolute().parent, os.environ, options.parallel)
        for note in (*_parallel_note(file.spec, setting), *not_done_here(file.spec), *earlier.notes):
            display.note(f"note: {note}")
        runner = Runner(ledger, setting, display, reread=reread, earlier=earlier)
        with _interruptions(runner):
            return runner.run()


def _display(options: argparse.Namespace) -> "TableDisplay | LinesDisplay":
    if options.output == "json":
        return LinesDisplay(sys.stderr)
    if options.output == "table" or (options.output is None and sys.stdout.isatty()):
        from rich.console import Console

        from tuning_operator.cli.table import TableDisplay

        return TableDisplay(Console())
    return LinesDisplay(sys.stdout)


def _parallel_note(spec: StudySpec, setting: Setting) -> list[str]:
    most = setting.machine.most_parallel(spec.trial.accelerator.count)
    wanted = spec.limits.parallel
    if setting.parallel is not None or wanted <= most:
        return []
    has = f"{len(setting.machine.gpus)} GPUs" if setting.machine.gpus else f"{setting.machine.cpus} cores"
    return [f"{most} instead of {wanted} trials at once, because this machine has {has}; --parallel {wanted} insists"]


@contextmanager
def _interruptions(runner: Runner) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        runner.interrupt()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _tell(options: argparse.Namespace, ledger: Ledger, outcome: Outcome) -> None:
    report = _report(options, ledger) if outcome in (Outcome.SUCCEEDED, Outcome.FAILED) else None
    if options.output == "json":
        result = summary.as_json(ledger)
        if report is not None:
            result["files"]["report"] = str(report)
        print(json.dumps(result, indent=1))
    else:
        print(summary.as_text(ledger))
        if report is not None:
            print(f"{'report':<{summary.LABEL}}{report}")
    if outcome is Outcome.INTERRUPTED:
        again = " ".join(["tuning run", str(options.file), *(["--dir", str(options.dir)] if options.dir else [])])
        print(f"interrupted; nothing is lost: {again} goes on from here", file=sys.stderr)


def _report(options: argparse.Namespace, ledger: Ledger) -> Path | None:
    if options.no_report:
        return None
    from tuning_operator.cli.report.command import write

    path: Path = options.report or ledger.directory / "report.html"
    try:
        write(ledger, path)
    except OSError as error:
        print(f"the report could not be written: {error}", file=sys.stderr)
        return None
    return path
