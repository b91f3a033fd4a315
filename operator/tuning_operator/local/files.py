"""The files of the ledger as files: names, atomic writes, and what one attempt leaves behind.

.tuning/<study>/lock                     held by the runner
                study.json               the TuningStudy with its uid and status
                study.yaml               the file as it was run
                trials/0007.json         one TuningTrial each: the commit point
                runs/0007/checkpoint/    what the next attempt of the trial finds again
                runs/0007/attempt-0.*    log, report, start, pid, exit, lock
"""

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuning_trial.report import Report, ReportError

_LAST_WORDS = 600


@dataclass(frozen=True, slots=True)
class Start:
    """Written before an attempt starts: what a later runner must know of it."""

    at: float
    argv: tuple[str, ...]
    gpus: tuple[str, ...]
    grace: float


class AttemptFiles:
    """Everything on disk of one attempt of one trial."""

    def __init__(self, directory: Path, attempt: int, *, replicate: int = 0) -> None:
        """Each replicate is a training of its own, with checkpoints of its own."""
        self.base = directory / f"attempt-{attempt}"
        self.checkpoint = directory / (f"replicate-{replicate}" if replicate else "checkpoint")
        self.log = self._file("log")
        self.report = self._file("report.json")

    def prepare(self) -> None:
        self.checkpoint.mkdir(parents=True, exist_ok=True)

    def write_start(self, start: Start) -> None:
        write_atomically(self._file("start"), json.dumps(asdict(start)))

    def read_start(self) -> Start | None:
        text = _read(self._file("start"))
        if not text:
            return None
        data: dict[str, Any] = json.loads(text)
        return Start(data["at"], tuple(data["argv"]), tuple(data["gpus"]), data["grace"])

    def forget_start(self) -> None:
        self._file("start").unlink(missing_ok=True)

    def try_lock(self) -> int | None:
        """An open file that holds the attempt's lock until every copy of it is closed; None if the attempt lives."""
        descriptor = os.open(self._file("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def alive(self) -> bool:
        lock = self.try_lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def wait_until_dead(self) -> None:
        with self._file("lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def held_by(self, pid: int) -> bool:
        """Whether that process has this attempt's lock open: the only ones a signal may go to."""
        try:
            lock = self._file("lock").stat()
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    opened = entry.stat()
                    if (opened.st_dev, opened.st_ino) == (lock.st_dev, lock.st_ino):
                        return True
        except OSError:
            return False
        return False

    def read_pid(self) -> int | None:
        return _number(_read(self._file("pid")))

    def read_exit(self) -> int | None:
        return _number(_read(self._file("exit")))

    def exit_time(self) -> float | None:
        try:
            return self._file("exit").stat().st_mtime
        except OSError:
            return None

    def report_stamp(self) -> int:
        try:
            return self.report.stat().st_mtime_ns
        except OSError:
            return 0

    def read_report(self) -> Report | None:
        """None while there is none, or none that can be read: it may be in the middle of being rewritten."""
        try:
            return Report.parse(self.report.read_bytes())
        except (OSError, ReportError):
            return None

    def last_words(self) -> str:
        """The end of the log, for a person."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 4 * _LAST_WORDS))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        text = "\n".join(line.rstrip() for line in lines if line.strip())
        return text[-_LAST_WORDS:]

    def _file(self, suffix: str) -> Path:
        return self.base.with_name(f"{self.base.name}.{suffix}")


def write_atomically(path: Path, text: str) -> None:
    """All of it or nothing, also through a loss of power."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def lock_or_holder(path: Path) -> int | str:
    """An open file that holds the lock `path` until it is closed, or what its holder wrote into it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return _read(path).strip() or "unknown"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}".encode(), 0)
    return descriptor


def is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None
