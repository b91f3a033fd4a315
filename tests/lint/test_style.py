"""What a reviewer need not look for: style, types, layers, lock files. Tests, so that the closing line counts them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

CHECKS = {
    "ruff finds nothing": [BIN / "ruff", "check", "."],
    "every file is formatted": [BIN / "ruff", "format", "--check", "."],
    "types are right": [BIN / "mypy"],
    "dependencies point one way": [BIN / "lint-imports"],
    "lock files are as new as pyproject.toml": [sys.executable, "do.py", "lock", "--check"],
}


@pytest.mark.parametrize("command", CHECKS.values(), ids=CHECKS.keys())
def test_that(command: list[object]) -> None:
    found = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_file_pins_by_hash_and_names_no_place(lock: Path) -> None:
    text = lock.read_text()
    pinned = re.findall(r"^\S+==", text, re.MULTILINE)
    assert pinned
    assert len(re.findall(r"==[^\\\n]+\\\n +--hash=sha256:", text)) == len(pinned)
    assert "://" not in text
    assert "/work" not in text
    assert "--index" not in text


def test_no_module_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists(), "operator is a module of the standard library"
