"""The Go programs that the test cluster is made of: built once for each version of their sources, then kept.

A program that is there already needs no Go and no network.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testcluster.cache import cache_dir, content_hash, locked, progress

HERE = Path(__file__).parent
GO_AT_LEAST = (1, 26)
KUBERNETES_VERSION = "v1.36.3"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)


class MissingPrerequisiteError(RuntimeError):
    """Something that the test cluster needs is not on this machine; the message says what and what to do."""


@dataclass(frozen=True)
class Program:
    """A command of a Go module of this directory; links are other names that the command answers to."""

    name: str
    package: str = "."
    module: str = ""
    """Directory of the module; the name's if empty."""
    tags: str = ""
    ldflags: str = "-s -w"
    links: tuple[str, ...] = ()
    minutes: float = 0.2

    def path(self) -> Path:
        """The executable, built now if it has not been built before."""
        return _built(self) / self.name


KUBE = Program(
    name="kube",
    ldflags=f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
    links=COMPONENTS,
    minutes=5,
)
HELM = Program(name="helm", package="helm.sh/helm/v4/cmd/helm", minutes=2.5)
KSTATUS = Program(name="kstatus", minutes=1)
PAUSE = Program(name="pause")
NO_DISCOVERY = "remove_all_sd"
"""Of Prometheus' ways to find targets only files and HTTP: the others are most of the build."""
PROMETHEUS = Program(
    name="prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    tags=NO_DISCOVERY,
    minutes=4,
)
PROMTOOL = Program(
    name="promtool",
    package="github.com/prometheus/prometheus/cmd/promtool",
    module="prometheus",
    tags=NO_DISCOVERY,
    minutes=0.5,
)
ALL = (KUBE, HELM, KSTATUS, PAUSE, PROMETHEUS, PROMTOOL)


def component(name: str) -> Path:
    """The executable of one Kubernetes component."""
    return KUBE.path().with_name(name)


def kubectl() -> Path:
    return component("kubectl")


def helm() -> Path:
    return HELM.path()


def kstatus(objects: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What Flux and Helm make of these objects: a status (Current, InProgress, Failed, ...) and a message each."""
    run = subprocess.run(
        [KSTATUS.path()], input=json.dumps(list(objects)), capture_output=True, text=True, check=False, timeout=60
    )
    if run.returncode:
        raise ValueError(run.stderr.strip())
    verdicts: list[dict[str, str]] = json.loads(run.stdout)
    return verdicts


def _built(program: Program) -> Path:
    module = HERE / (program.module or program.name)
    sources = [*module.glob("*.go"), *module.glob("go.*")]
    words = [program.package, program.ldflags, *program.links, platform.machine()]
    key = content_hash(sources, *words, *([program.tags] if program.tags else []))
    home = cache_dir() / "programs" / f"{program.name}-{key}"
    if home.exists():
        return home
    with locked(f"build-{program.name}", waiting=f"waiting for another run that builds {program.name}"):
        if not home.exists():
            _build(program, module, home)
    return home


def _build(program: Program, module: Path, home: Path) -> None:
    go = _go(program)
    progress(f"building {program.name}; the first time takes about {program.minutes:g} min on two cores")
    began = time.monotonic()
    unfinished = home.with_name(f"{home.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", program.ldflags]
        command += ["-tags", program.tags] if program.tags else []
        command += ["-o", str(unfinished / program.name), program.package]
        run = subprocess.run(
            ["nice", *command],
            cwd=module,
            env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(f"could not build {program.name} with {go}:\n{run.stdout[-4000:]}")
        for link in program.links:
            (unfinished / link).symlink_to(program.name)
        unfinished.rename(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    progress(f"built {program.name} in {time.monotonic() - began:.0f} s")


def _go(program: Program) -> str:
    wanted = ".".join(map(str, GO_AT_LEAST))
    remedy = f"{program.name} of the test cluster is built from source: put Go {wanted} or newer on PATH"
    go = shutil.which("go")
    if go is None:
        raise MissingPrerequisiteError(f"no `go` on PATH. {remedy}.")
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True, cwd=HERE).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < GO_AT_LEAST:
        raise MissingPrerequisiteError(f"{go} is {said.strip()}. {remedy}.")
    return go
