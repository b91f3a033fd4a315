#!/usr/bin/env python3
"""What a clone needs to run and test itself. Needs Python >= 3.11 and nothing else; standard library only.

    python3 do.py run STUDY.yaml [options]      run a study on this machine (= `tuning run`)
    python3 do.py test [LEVEL...] [-- PYTEST]   checks and tests; levels: lint unit sim local cluster e2e bench, or all
    python3 do.py lock [--upgrade | --check]    make the lock files anew from pyproject.toml

The virtual environment `.venv` is made on the first call and touched again only when a lock file changes. Everything
in it is pinned by requirements/*.lock, with hashes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
LOCKS = ROOT / "requirements"
STAMP = VENV / "tuning-do.json"
OLDEST = (3, 11)

EXTRAS = {
    "test": ("operator", "local", "trainer", "dev", "bench"),
    "local": ("local", "trainer"),
    "operator": ("operator",),
    "trainer": ("trainer",),
}
"""The lock files and the extras of pyproject.toml in each; `test` holds everything and comes first, so that the others
agree with it.
"""

BUILD = {"test", "local"}
"""Sets that also hold what installs the clone itself (requirements/build.in)."""

LEVELS = ("lint", "unit", "sim", "local", "cluster", "e2e")
DEFAULT_LEVELS = ("lint", "unit", "sim", "local")
EXTRA_LEVELS = ("bench",)


def main(arguments: "list[str]") -> int:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if verb == "run":
        provide("local")
        return call([BIN / "tuning", "run", *rest], directory=None)
    if verb == "test":
        return test(rest)
    if verb == "lock":
        return lock(rest)
    print((__doc__ or "").strip())
    return 0 if verb in ("help", "-h", "--help") else fail(f"do.py: {verb!r} is none of run, test, lock")


def test(arguments: "list[str]") -> int:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    levels, options = arguments[:split], arguments[split + 1 :]
    known = (*LEVELS, *EXTRA_LEVELS)
    unknown = [level for level in levels if level not in (*known, "all")]
    if unknown:
        return fail(f"do.py test: {unknown[0]!r} is no level; choose from {' '.join(known)}, or all")
    chosen = LEVELS if "all" in levels else [level for level in known if level in (levels or DEFAULT_LEVELS)]
    provide("test")
    # One run of pytest for all, so that its last line counts everything.
    return call([BIN / "python", "-m", "pytest", *options, *(Path("tests") / level for level in chosen)])


def provide(wanted: str) -> None:
    """Makes `.venv` hold the set `wanted`; quick when it does already."""
    if not (BIN / "python").exists():
        create_venv()
    installed = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    if any(installed.get(name) == fingerprint(name) for name in {wanted, "test"}):
        return
    say(f"installing what {wanted!r} needs into {VENV.name} (the first time some 3 GB: PyTorch brings CUDA along)")
    uv = bootstrap()
    install = [uv, "pip", "install", "--python", BIN / "python", "--compile-bytecode"]
    check(call([*install, "--require-hashes", "-r", LOCKS / f"{wanted}.lock"]), "installing the requirements")
    check(call([*install, "--no-deps", "--no-build-isolation", "--editable", ROOT]), "installing this clone")
    installed = {wanted: fingerprint(wanted)}  # what was there before may have been changed by it
    STAMP.write_text(json.dumps(installed))


def create_venv() -> None:
    say(f"making {VENV.name}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SystemExit(
            f"do.py: {sys.executable} cannot make a virtual environment. On Debian and Ubuntu this helps: "
            f"apt-get install python{version}-venv\n{(made.stdout + made.stderr).strip()}"
        )


def bootstrap() -> Path:
    """uv, which installs and locks; pip, which every Python has, brings it."""
    uv = BIN / "uv"
    wanted = (LOCKS / "uv.lock").read_text().split("uv==", 1)[1].split()[0]
    found = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False).stdout if uv.exists() else ""
    if wanted not in found.split():
        pip = [BIN / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        check(call([*pip, "-r", LOCKS / "uv.lock"]), "installing uv")
    heed_pip()
    return uv


def heed_pip() -> None:
    """uv does not read pip's settings; a mirror or a certificate that was set up for pip holds for uv as well."""
    pip = [BIN / "python", "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.splitlines()
    settings = dict(line.split("=", 1) for line in listed if "=" in line)
    for setting, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        value = os.environ.get(f"PIP_{setting.replace('-', '_').upper()}") or settings.get(f"global.{setting}", "")
        if value:
            os.environ.setdefault(variable, value.strip("'"))


def lock(arguments: "list[str]") -> int:
    """`--check` needs no network: each lock names the hash of what it was made from."""
    if arguments not in ([], ["--upgrade"], ["--check"]):
        return fail(f"do.py lock: {arguments} is neither --upgrade nor --check")
    if arguments == ["--check"]:
        for name in EXTRAS:
            if lock_header(name) not in (LOCKS / f"{name}.lock").read_text():
                return fail(f"requirements/{name}.lock is older than pyproject.toml; make it anew: python3 do.py lock")
        return 0
    if not (BIN / "python").exists():
        create_venv()
    uv = bootstrap()
    for name in EXTRAS:
        lock_one(uv, name, arguments)
    return 0


def lock_one(uv: Path, name: str, options: "list[str]") -> None:
    target = LOCKS / f"{name}.lock"
    command = [uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version", ".".join(map(str, OLDEST))]
    command += ["--generate-hashes", "--no-header", "--quiet", "--output-file", target.relative_to(ROOT), *options]
    command += [f"--extra={extra}" for extra in EXTRAS[name]]
    if name in BUILD:
        command.append("requirements/build.in")
    if name != "test":
        command += ["--constraint", "requirements/test.lock", "--no-annotate"]
    check(call(command), f"locking {name}")
    target.write_text(f"{lock_header(name)}\n{target.read_text()}")
    say(f"requirements/{target.name}: {target.read_text().count('==')} packages")


def lock_header(name: str) -> str:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    made_from = [project["requires-python"], project["dependencies"], [optional[extra] for extra in EXTRAS[name]]]
    made_from.append((LOCKS / "build.in").read_text() if name in BUILD else "")
    digest = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    extras = ", ".join(EXTRAS[name])
    return f"# Made by `python3 do.py lock` from pyproject.toml: {extras}. Do not edit. Made from {digest}."


def fingerprint(name: str) -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    content = (LOCKS / f"{name}.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return f"{version} {hashlib.sha256(content).hexdigest()}"


def call(command: "list[object]", *, directory: "Path | None" = ROOT) -> int:
    """Ctrl-C is for the command, which says how it ends."""
    process = subprocess.Popen([str(part) for part in command], cwd=directory)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def check(code: int, doing: str) -> None:
    if code != 0:
        raise SystemExit(f"do.py: {doing} failed (exit code {code}); what went wrong stands above")


def say(text: str) -> None:
    print(f"do.py: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


def with_a_new_enough_python() -> None:
    """Where `python3` is an old one, a newer one is often beside it."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(15, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        works = newer and subprocess.run([newer, "-c", ""], capture_output=True, check=False).returncode == 0
        if newer and works:
            os.execv(newer, [newer, *sys.argv])
    raise SystemExit(f"do.py: needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {sys.version.split()[0]}")


if __name__ == "__main__":
    with_a_new_enough_python()
    sys.exit(main(sys.argv[1:]))
