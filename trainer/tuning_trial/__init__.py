"""The contract between a trial and whoever runs it, one line each::

    import tuning_trial

    p = tuning_trial.parameters(lr=0.01, layers=2)
    for step in range(100):
        ...
        tuning_trial.report(step, val_accuracy=accuracy)
        if tuning_trial.should_stop():
            save(tuning_trial.checkpoint_dir())
            raise SystemExit(tuning_trial.exit_codes.STOPPED)

Works unchanged with no operator at all. Imports the standard library only; prometheus-client when there is a port to
serve.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning_trial import exit_codes
from tuning_trial.environment import Environment, VariableError
from tuning_trial.report import Report, ReportError  # before the function `report`, which takes the name in the package
from tuning_trial.session import Session

__all__ = [
    "Environment",
    "Report",
    "ReportError",
    "Session",
    "VariableError",
    "artifact",
    "budget",
    "checkpoint_dir",
    "current",
    "exit_codes",
    "fail",
    "finish",
    "parameters",
    "parent_dir",
    "report",
    "restore",
    "should_stop",
    "state",
]

_lock = threading.Lock()
_current: Session | None = None


def current() -> Session:
    """The trial that this process is; the first call reads the environment, serves /metrics and takes SIGTERM over."""
    global _current  # noqa: PLW0603 - one trial a process
    with _lock:
        if _current is None:
            _current = Session(Environment.read(os.environ))
            _current.stop.install()
            _current.watch_end()
        return _current


def parameters(**defaults: Any) -> dict[str, Any]:
    """The parameters of this trial over `defaults`; without a study the defaults."""
    return current().parameters(**defaults)


def report(step: int, *, steps: int | None = None, **metrics: Any) -> None:
    """Publishes the values of `metrics` at `step`, a whole number; `steps` is the number of steps planned."""
    current().report(step, steps=steps, **metrics)


def checkpoint_dir() -> Path:
    """A directory that the next attempt of this trial sees again; outside a study a temporary one."""
    return current().checkpoint_dir()


def parent_dir() -> Path | None:
    """The checkpoint directory of the trial that this one goes on from, to be read only; None without one."""
    return current().parent_dir()


def budget() -> int | None:
    """The step at which this attempt ends, of those it reports; None: at its own end."""
    return current().budget()


def should_stop() -> bool:
    """Whether the trial is to stop, by SIGTERM or because it has reached its budget.

    Then save a checkpoint and exit with `exit_codes.STOPPED`.
    """
    return current().should_stop()


def artifact(name: str, path: str | Path) -> None:
    """Records a file of the checkpoint directory, by its path inside it, in the report."""
    current().artifact(name, path)


def finish() -> None:
    """The trial finished by itself. Called at the normal end of the process when nobody else does."""
    current().finish()


def fail(reason: str, message: str) -> int:
    """Records why the trial fails and returns the exit code for it: `sys.exit(fail("Diverged", "the loss is NaN"))`."""
    return current().fail(reason, message)


def state() -> dict[str, Any]:
    """The history of reports as JSON values, to be saved with a checkpoint."""
    return current().state()


def restore(state: Mapping[str, Any]) -> None:
    """Takes over the history that an earlier attempt saved with its checkpoint."""
    current().restore(state)
