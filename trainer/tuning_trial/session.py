"""One trial in this process: ties environment, tracker, report file, learning curve, metrics server and SIGTERM
together.

Thread-safe. Without any `TUNING_*` variable everything works and nothing is stored outside the process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tuning_trial.curve import Curve
from tuning_trial.environment import Environment
from tuning_trial.exit_codes import code_for
from tuning_trial.exposition import Live, MetricsServer, serve
from tuning_trial.report import Failure, Report
from tuning_trial.stopping import StopSignal
from tuning_trial.termination import TerminationFile
from tuning_trial.tracker import Tracker


class Session:
    """The trial that this process is. Programs use the functions of `tuning_trial`; tests build sessions of their
    own.
    """

    def __init__(self, environment: Environment, *, stop: StopSignal | None = None) -> None:
        self.environment = environment
        self.stop = stop or StopSignal()
        self._lock = threading.RLock()
        self._tracker = Tracker(environment.objectives, environment.fidelity.rungs if environment.fidelity else ())
        self._keep = frozenset(o.metric for o in environment.objectives)
        self._file = TerminationFile(environment.termination_file)
        self._curve = Curve(
            environment.checkpoint_dir if environment.trial and environment.main else None, keep=self._keep
        )
        self._scratch: Path | None = None
        self._pid = os.getpid()
        self.server: MetricsServer | None = None
        if environment.metrics_port is not None:
            self.server = serve(environment.metrics_port, self._live)

    def parameters(self, **defaults: Any) -> dict[str, Any]:
        """The parameters of this trial over `defaults`. A whole number for a default that is a float becomes a
        float.
        """
        given = self.environment.parameters or {}
        return defaults | {
            name: float(value) if type(value) is int and isinstance(defaults.get(name), float) else value
            for name, value in given.items()
        }

    def report(self, step: int, *, steps: int | None = None, **metrics: Any) -> None:
        """Publishes the values of `metrics` at `step`; `steps` is the number of steps planned.

        Values are numbers, or anything `float()` takes, such as a tensor of one element. Raises TypeError or ValueError
        for a name or a value that cannot be used; never for a file or a port that cannot be written.
        """
        with self._lock:
            reported = self._tracker.add(step, metrics, steps=steps)
            self._write()
            if os.getpid() == self._pid:
                self._curve.add(self._tracker.step or 0, reported)

    def checkpoint_dir(self) -> Path:
        """A directory that the next attempt of this trial sees again, made if needed; outside a study a temporary
        one.
        """
        directory = self.environment.checkpoint_dir
        if directory is None:
            with self._lock:
                if self._scratch is None:
                    self._scratch = Path(tempfile.mkdtemp(prefix="tuning-trial-"))
                    atexit.register(shutil.rmtree, self._scratch, ignore_errors=True)
                return self._scratch
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def parent_dir(self) -> Path | None:
        """The checkpoint directory of the trial that this one goes on from, to be read only; None without one."""
        return self.environment.parent_dir

    def budget(self) -> int | None:
        """The step at which this attempt ends, of those it reports; None: at its own end."""
        return self.environment.fidelity.until if self.environment.fidelity else None

    def should_stop(self) -> bool:
        """Whether the trial is to stop: save a checkpoint, then exit with `exit_codes.STOPPED`.

        True once SIGTERM came, and once the budget of this attempt was reported where that is not the full one.
        """
        return self.stop.requested() or self.paused()

    def paused(self) -> bool:
        """Whether this attempt has reached its budget, and there is more of the training to come."""
        fidelity, step = self.environment.fidelity, self._tracker.step
        return fidelity is not None and fidelity.pauses and step is not None and step >= fidelity.until

    def artifact(self, name: str, path: str | Path) -> None:
        """Records a file of the checkpoint directory, by its path inside it, in the report."""
        with self._lock:
            self._tracker.artifacts[name] = str(path)
            self._write()

    def finish(self) -> None:
        """The trial finished by itself: sets `done`. Called at the normal end of the process when nobody else does."""
        with self._lock:
            self._tracker.done = self._tracker.error is None
            self._write()

    def stopped(self) -> None:
        """The trial ends before its time, with its state saved, though nobody told this process to stop."""
        self._interrupted = True

    def fail(self, reason: str, message: str) -> int:
        """Records why the trial fails and returns the exit code for it: `sys.exit(fail("Diverged", "the loss is
        NaN"))`.
        """
        with self._lock:
            self._tracker.error = Failure(reason=reason, message=message)
            self._tracker.done = False
            self._write()
        return code_for(reason)

    def state(self) -> dict[str, Any]:
        """The history of reports as JSON values, to be saved with a checkpoint; see `restore`."""
        with self._lock:
            return self._tracker.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over the history that an earlier attempt saved with its checkpoint, so that its best value counts."""
        with self._lock:
            self._tracker.restore(state)

    def snapshot(self) -> Report:
        """The report as it stands."""
        with self._lock:
            return self._tracker.report()

    def watch_end(self) -> None:
        """Sets `done` at the normal end of the process, and the reason when an exception ends it."""
        atexit.register(self._at_exit)
        previous = sys.excepthook

        def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
            if self._tracker.error is None and not issubclass(kind, KeyboardInterrupt):
                self.fail("Exception", f"{kind.__name__}: {value}")
            self._interrupted = True
            previous(kind, value, trace)

        sys.excepthook = hook

    _interrupted = False

    def _at_exit(self) -> None:
        if os.getpid() == self._pid and not self._interrupted and not self.stop.seen and self._tracker.error is None:
            self.finish()

    def _live(self) -> Live:
        with self._lock:
            rungs = {budget: dict(values) for budget, values in self._tracker.rungs.items()}
            return Live(self._tracker.step, dict(self._tracker.last), rungs)

    def _write(self) -> None:
        if os.getpid() == self._pid and self.environment.termination_file is not None:
            self._file.write(self._tracker.report().to_json(keep=self._keep))
