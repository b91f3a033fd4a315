"""Python environments for programs that must not see ours: made once from a lock file, kept outside the checkout."""

import subprocess
import sys
from pathlib import Path

from tests.testcluster.cache import cache_dir, content_hash, locked, progress


def python_with(name: str, lock: Path) -> Path:
    """The interpreter of an environment that holds what `lock` pins, and nothing else."""
    found = content_hash([lock], sys.version, sys.base_prefix)
    home = cache_dir() / "environments" / f"{name}-{found}"
    python, whole = home / "bin" / "python", home / "whole"
    with locked(f"environment-{name}", waiting=f"another run installs {name}"):
        if not whole.exists():
            progress(f"installing {name}: once for each version of {lock.name}")
            _call(sys.executable, "-m", "venv", "--clear", "--without-pip", home)
            pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
            _call(*pip, "install", "--quiet", "--no-compile", "--require-hashes", "-r", lock)
            _call(python, "-m", "compileall", "-q", home / "lib", check=False)  # some packages carry files for others
            whole.touch()
    return python


def _call(*command: object, check: bool = True) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
