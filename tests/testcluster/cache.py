"""Where built things are kept between runs, and the lock under which they are built."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """The directory of everything that is worth keeping over runs and checkouts; safe to delete at any time."""
    if chosen := os.environ.get("TUNING_TEST_CACHE"):
        path = Path(chosen)
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tuning-operator"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def locked(name: str, *, waiting: str = "", nowait: bool = False) -> Iterator[None]:
    """Hold a lock that every run on this machine shares; it is gone with the process, however that ends.

    With nowait, raise BlockingIOError when another process holds it.
    """
    path = cache_dir() / "locks" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if nowait:
                raise
            if waiting:
                progress(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def content_hash(files: Iterable[Path], *words: str) -> str:
    """A short name for the contents of these files (in a fixed order) and these words."""
    digest = hashlib.sha256()
    for part in words:
        digest.update(part.encode() + b"\0")
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def progress(line: str) -> None:
    """Tell whoever waits what takes so long."""
    print(f"[testcluster] {line}", file=sys.stderr, flush=True)
