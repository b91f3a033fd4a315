"""Attempts of trials as processes of this machine: start, watch, stop, and find again what an earlier runner left.

Each attempt runs in a process group of its own under a few lines of shell that write down its pid and its exit code, so
that neither is lost when the runner is killed. The shell inherits a locked file (`flock` belongs to the open file, so
it is held exactly as long as the attempt lives): whether an attempt is alive is asked of that lock, never of a pid, and
a pid is signalled only while its process holds that lock. So no attempt ever runs twice at once (P1) and no foreign
process is ever signalled.

Nothing here decides: it does what it is told and says what it sees, as the core's `Run`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tuning_operator.core.model import Run, RunState
from tuning_operator.local.files import AttemptFiles, Start
from tuning_operator.local.machine import GpuPool
from tuning_operator.local.printed import PrintedReport
from tuning_trial.report import Report

_SHELL = """\
trap : TERM INT HUP
base=$1
shift
echo $$ >"$base.pid"
"$@"
code=$?
echo $code >"$base.exit"
exit $code
"""
_OOM_COUNTER = Path("/proc/vmstat")

Key = tuple[int, int]
"""Trial and attempt."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, complete: nothing is looked up later."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    grace: float = 30.0
    gpus: int = 0


class StartError(Exception):
    """The command can never start as it is written."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Processes:
    """All attempts known to this runner. `wake` is called from other threads when one ended."""

    def __init__(self, *, wake: Callable[[], None], clock: Callable[[], float], gpus: GpuPool) -> None:
        self._wake = wake
        self._clock = clock
        self._gpus = gpus
        self._known: dict[Key, _Attempt] = {}

    def start(self, key: Key, command: Command, files: AttemptFiles, *, printed: PrintedReport | None = None) -> None:
        """Idempotent: an attempt that was started before, by whomever, is not started again. `printed`: what its log
        tells, where the attempt leaves no report."""
        if key in self._known or self.find(key, files, printed=printed):
            return
        program = _program(command)
        lock = files.try_lock()
        if lock is None:
            self.find(key, files, printed=printed)
            return
        try:
            devices = self._gpus.take(key, command.gpus) if command.gpus else ()
            start = Start(self._clock(), command.argv, devices, command.grace)
            files.write_start(start)
            environment = dict(command.environment)
            if self._gpus.any:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)  # none is none, as in a cluster
            with files.log.open("ab") as log:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _SHELL, "tuning-trial", str(files.base), program, *command.argv[1:]],
                    env=environment,
                    cwd=command.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        except OSError as error:
            self._gpus.release(key)
            files.forget_start()
            raise StartError("StartError", f"{' '.join(command.argv)}: {error}") from error
        finally:
            os.close(lock)
        self._watch(key, _Attempt(key, files, start, printed=printed, process=process, oom_kills=_oom_kills()))

    def find(self, key: Key, files: AttemptFiles, *, printed: PrintedReport | None = None) -> bool:
        """Takes over an attempt that an earlier runner started; False if there is none."""
        if key in self._known:
            return True
        start = files.read_start()
        if start is None:
            return False
        alive = files.alive()
        if not alive and files.read_exit() is None and files.read_pid() is None:
            files.forget_start()
            return False
        if start.gpus and alive:
            self._gpus.keep(key, start.gpus)
        self._watch(key, _Attempt(key, files, start, printed=printed))
        return True

    def stop(self, key: Key) -> None:
        """SIGTERM now, SIGKILL after the grace period; idempotent."""
        attempt = self._known.get(key)
        if attempt is not None and attempt.kill_at is None:
            attempt.kill_at = self._clock() + attempt.start.grace
            attempt.signal(signal.SIGTERM)

    def abandon(self) -> None:
        """Asks all to end, because nobody will watch them any more."""
        for key in self.live():
            self.stop(key)

    def kill_all(self) -> None:
        for attempt in self._known.values():
            attempt.kill_at = attempt.kill_at or self._clock()
            attempt.signal(signal.SIGKILL)

    def enforce(self) -> float | None:
        """Kills what did not stop within its grace; the next moment at which there is something to enforce."""
        now = self._clock()
        stopping = [
            attempt for attempt in self._known.values() if attempt.ended is None and attempt.kill_at is not None
        ]
        for attempt in stopping:
            if attempt.kill_at is not None and now >= attempt.kill_at:
                attempt.signal(signal.SIGKILL)
                attempt.kill_at = now + 5  # the signal may have met a process that was not ours to see yet
        return min((attempt.kill_at for attempt in stopping if attempt.kill_at is not None), default=None)

    def run(self, key: Key) -> Run | None:
        attempt = self._known.get(key)
        return attempt.run() if attempt else None

    def news(self) -> bool:
        """Whether a report tells of a rung that `run` has not told yet."""
        return any(attempt.at_new_rung() for attempt in self._known.values() if attempt.ended is None)

    def known(self) -> tuple[Key, ...]:
        return tuple(self._known)

    def live(self) -> tuple[Key, ...]:
        return tuple(key for key, attempt in self._known.items() if attempt.ended is None)

    def forget(self, key: Key) -> None:
        """Once its end is recorded."""
        self._known.pop(key, None)

    def _watch(self, key: Key, attempt: "_Attempt") -> None:
        self._known[key] = attempt

        def wait() -> None:
            attempt.wait()
            self._gpus.release(key)
            attempt.ended = attempt.how_it_ended(self._clock())
            self._wake()

        threading.Thread(target=wait, name=f"trial-{key[0]}-attempt-{key[1]}", daemon=True).start()


@dataclass(frozen=True, slots=True)
class _End:
    at: float
    code: int | None
    reason: str = ""
    message: str = ""


class _Attempt:
    """One attempt. Its own thread waits for its end; the runner's thread does everything else."""

    def __init__(
        self,
        key: Key,
        files: AttemptFiles,
        start: Start,
        *,
        printed: PrintedReport | None = None,
        process: "subprocess.Popen[bytes] | None" = None,
        oom_kills: int = 0,
    ) -> None:
        self.key = key
        self.files = files
        self.start = start
        self.kill_at: float | None = None
        self.ended: _End | None = None
        self._printed = printed
        self._process = process
        self._oom_kills = oom_kills
        self._reaping = threading.Lock()
        self._reaped = False
        self._killed = False
        self._report: tuple[int, Report | None] = (0, None)
        self._rungs = 0

    def wait(self) -> None:
        if self._process is None:
            self.files.wait_until_dead()
            return
        # Not reaped before its group is gone, so that the number of the group cannot pass to another.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            _signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reaped = True

    def signal(self, number: signal.Signals) -> None:
        self._killed = self._killed or number == signal.SIGKILL
        if self._process is not None:
            with self._reaping:
                if not self._reaped:
                    _signal_group(self._process.pid, number)
            return
        pid = self.files.read_pid()
        if pid is not None and self.files.held_by(pid):
            _signal_group(pid, number)

    def how_it_ended(self, now: float) -> _End:
        code = self.files.read_exit()
        at = self.files.exit_time() or now
        if code is None and self._process is not None:
            status = self._process.returncode
            code, at = (128 - status if status < 0 else status), now
        if code is None and self._killed:
            code = 137
        if code is None:
            return _End(at, None, "Lost", "ended while nobody watched; its exit code is unknown")
        if code == 137 and not self._killed and self._process is not None and _oom_kills() > self._oom_kills:
            return _End(at, code, "OOMKilled", "killed by the kernel: out of memory")
        return _End(at, code, message=self.files.last_words() if code not in (0, 143) else "")

    def run(self) -> Run:
        end = self.ended
        report = self._last_report(ended=end is not None)
        self._rungs = len(report.rungs) if report is not None else 0
        run = Run(
            trial=self.key[0],
            attempt=self.key[1],
            state=RunState.RUNNING if self.kill_at is None else RunState.STOPPING,
            created_at=self.start.at,
            started_at=self.start.at,
            report=report,
        )
        if end is None:
            return run
        return replace(
            run,
            state=RunState.ENDED,
            ended_at=end.at,
            exit_code=end.code,
            reason=end.reason,
            message=end.message,
            disrupted=end.code is None,
        )

    def at_new_rung(self) -> bool:
        report = self._last_report(ended=False)
        return report is not None and len(report.rungs) > self._rungs

    def _last_report(self, *, ended: bool) -> Report | None:
        """Read again only when the file changed, and once more after the end: two writes can bear the same time."""
        stamp = -1 if ended else self.files.report_stamp()
        if stamp != self._report[0]:
            report = self.files.read_report()
            if report is not None or ended:  # else it is being written right now
                self._report = (stamp, report)
        report = self._report[1]
        return self._printed.read(ended=ended) if report is None and self._printed is not None else report


def _program(command: Command) -> str:
    """Absolute, so that the shell can take it for nothing of its own."""
    path = command.environment.get("PATH", os.defpath)
    name = command.argv[0]
    if not command.directory.is_dir():
        raise StartError("NoSuchDirectory", f"{command.directory}: no such directory to run {name} in")
    found = shutil.which(str(command.directory / name) if "/" in name else name, path=path)
    if found is None:
        where = str(command.directory) if "/" in name else f"PATH ({path})"
        raise StartError(
            "CommandNotFound",
            f"{name}: no such program in {where}; a local run starts the command itself, without the image",
        )
    return str(Path(found).absolute())


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _oom_kills() -> int:
    """Processes the kernel has killed for memory since boot; best effort."""
    with contextlib.suppress(OSError, ValueError):
        for line in _OOM_COUNTER.read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
