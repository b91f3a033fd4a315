"""Builds study files for real local runs, runs `tuning` on them, and reads what came of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

SLOW = 120.0
"""Seconds after which something that should be quick did not come; machines of tests can be busy."""

REPORT = 'printf \'{"v":1,"step":%s,"steps":%s,"final":{"loss":%s},"done":%s}\' '
SQUARE = "loss=$(awk -v x=$TUNING_PARAM_X 'BEGIN { print (x - 1) ^ 2 }')"
DONE = SQUARE + "; " + REPORT + '1 1 "$loss" true > "$TUNING_TERMINATION_FILE"'
"""A trial in a few milliseconds of shell."""


@dataclass(frozen=True)
class AStudy:
    directory: Path
    name: str = "square"
    script: str = DONE
    limits: dict[str, Any] = field(default_factory=lambda: {"trials": 4, "parallel": 2})
    algorithm: dict[str, Any] = field(default_factory=lambda: {"name": "Random", "seed": 1})
    parameters: tuple[dict[str, Any], ...] = ({"name": "x", "float": {"min": -3, "max": 3}},)
    objective: dict[str, Any] = field(default_factory=lambda: {"metric": "loss", "goal": "Minimize"})
    command: tuple[str, ...] = ("sh", "-c")
    trial: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def with_limits(self, **limits: Any) -> "AStudy":
        return replace(self, limits=self.limits | limits)

    def with_script(self, script: str) -> "AStudy":
        return replace(self, script=script)

    def but(self, **changes: Any) -> "AStudy":
        return replace(self, **changes)

    def document(self) -> dict[str, Any]:
        container = {"name": "trial", "image": "busybox", "command": [*self.command], "args": [self.script]}
        template = {"spec": {"template": {"spec": {"containers": [container], "terminationGracePeriodSeconds": 5}}}}
        spec = {
            "objectives": [self.objective],
            "parameters": [*self.parameters],
            "algorithm": self.algorithm,
            "limits": self.limits,
            "trial": {"accelerator": {"count": 0}, "template": template, **self.trial},
            **self.more,
        }
        head = {"apiVersion": "tuning.study/v1alpha1", "kind": "TuningStudy", "metadata": {"name": self.name}}
        return {**head, "spec": spec}

    def write(self) -> Path:
        path = self.directory / "study.yaml"
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump(self.document()))
        new.replace(path)
        return path

    @property
    def ledger(self) -> Path:
        return self.directory / ".tuning" / self.name


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["status"]
        return found

    @property
    def results(self) -> list[dict[str, Any]]:
        return [trial["status"].get("result", {}) for trial in self.json["trials"]]


class Tuning:
    """One `tuning` command, running in a study's folder."""

    def __init__(self, directory: Path, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tuning_operator.cli.main", *map(str, arguments)],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # as in a terminal of its own: Ctrl-C here is a signal to its group
        )

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """The runner alone, as the kernel or a power cut would; its trials live on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, *, seconds: float = SLOW) -> Finished:
        out, err = self.process.communicate(timeout=seconds)
        return Finished(self.process.returncode, out, err)


def tuning(directory: Path, *arguments: object) -> Finished:
    return Tuning(directory, *arguments).end()


def run(study: AStudy, *options: object) -> Finished:
    """Runs the study to its end, with the result as JSON."""
    return tuning(study.directory, "run", study.write(), "--output", "json", "--no-report", *options)


def trials(study: AStudy) -> list[dict[str, Any]]:
    files = sorted((study.ledger / "trials").glob("[0-9]*.json"))
    return [json.loads(file.read_text()) for file in files]


def results(study: AStudy) -> dict[int, dict[str, Any]]:
    found = [(trial["spec"]["number"], trial["status"].get("result")) for trial in trials(study)]
    return {number: result for number, result in found if result is not None}


def wait_for(what: Callable[[], object], *, seconds: float = SLOW) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def intervals(lines: Sequence[str]) -> list[tuple[str, float, float]]:
    """Of a journal with lines `trial start|end time`: who ran from when to when; infinite without an end."""
    started: dict[str, float] = {}
    found: list[tuple[str, float, float]] = []
    for line in lines:
        who, what, when = line.split()
        if what == "start":
            assert who not in started, f"{who} started twice at once"
            started[who] = float(when)
        else:
            found.append((who, started.pop(who), float(when)))
    return found + [(who, when, float("inf")) for who, when in started.items()]


def most_at_once(spans: Sequence[tuple[str, float, float]]) -> int:
    changes = sorted([(start, 1) for _, start, _ in spans] + [(end, -1) for _, _, end in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
