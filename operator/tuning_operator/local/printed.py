"""`metrics.source: Logs` of a local run: values out of what an attempt has printed into its log file.

The file is read on from where the last look ended, so a long log costs no more than its new lines.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tuning_operator.api.sources import source_of
from tuning_operator.api.study import MetricsSource, StudySpec
from tuning_operator.metrics.lines import Lines, Printed
from tuning_operator.metrics.live import Live
from tuning_trial.report import Report

_PIECE = 1 << 20


class PrintedReport:
    """The report that the lines of one log amount to."""

    def __init__(self, log: Path, spec: StudySpec, budgets: Sequence[int]) -> None:
        wanted = [o.metric for o in spec.objectives] + [c.metric for c in spec.constraints]
        self._log = log
        self._printed = Printed(wanted, step=None if spec.metrics.logs is None else spec.metrics.logs.step)
        self._live = Live(spec.objectives, budgets, each_is_news=True)
        self._lines = Lines()
        self._at = 0

    def read(self, *, ended: bool) -> Report | None:
        """`ended`: a last line without a line end is a line, too."""
        try:
            with self._log.open("rb") as log:
                log.seek(self._at)
                while piece := log.read(_PIECE):
                    self._at += len(piece)
                    self._take(self._lines.feed(piece))
        except OSError:
            return self._live.report()
        if ended:
            self._take(self._lines.end())
        return self._live.report()

    def _take(self, lines: Iterable[str]) -> None:
        for line in lines:
            for scrape in self._printed.read(line):
                self._live.add(scrape)


def printed_report(log: Path, spec: StudySpec, budgets: Sequence[int]) -> PrintedReport | None:
    """None where the study's values do not stand in logs."""
    return PrintedReport(log, spec, budgets) if source_of(spec) is MetricsSource.LOGS else None
