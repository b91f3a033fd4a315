"""What a real node needs from the machine: root and a few Debian packages, installed here if nobody did."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.testcluster.cache import locked, progress
from tests.testcluster.programs import MissingPrerequisiteError

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    "conntrack": "conntrack",
    "nft": "nftables",
    "ip": "iproute2",
}
CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def ensure() -> None:
    """Return when everything is there; install what is missing if that is possible, else say what to do."""
    if os.geteuid() != 0:
        raise MissingPrerequisiteError("a real node needs root: run the node tests as root, or leave tests/e2e out")
    if not _missing():
        return
    with locked("apt-get", waiting="waiting for another run that installs packages"):
        if packages := _missing():
            _install(packages)
    if packages := _missing():
        raise MissingPrerequisiteError(f"a real node needs these packages (Debian's names): {' '.join(packages)}")


def cni_directory() -> Path:
    """Where the CNI plugins are."""
    for directory in CNI_DIRECTORIES:
        if (directory / "bridge").exists() and (directory / "host-local").exists():
            return directory
    raise MissingPrerequisiteError(f"no CNI plugins bridge and host-local in {' or '.join(map(str, CNI_DIRECTORIES))}")


def _missing() -> list[str]:
    packages = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    try:
        cni_directory()
    except MissingPrerequisiteError:
        packages.add("containernetworking-plugins")
    return sorted(packages)


def _install(packages: list[str]) -> None:
    apt = shutil.which("apt-get")
    if apt is None:
        return
    progress(f"installing {' '.join(packages)}")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update"], [apt, "install", "--yes", "--no-install-recommends", *packages]):
        run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if run.returncode:
            raise MissingPrerequisiteError(f"{' '.join(command)} failed:\n{(run.stdout + run.stderr)[-2000:]}")
