"""Reads a container's termination message: the trial's report, or a person's words."""

from tuning_trial.report import Report, ReportError


def report_of(message: str) -> Report | None:
    """The report, if the message is one. Logs (Kubernetes' fallback) and other programs' messages are none."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        return Report.parse(message)
    except ReportError:
        return None
