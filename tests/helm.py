"""Helm against a test cluster, and the chart of this repository."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.testcluster import programs
from tests.testcluster.cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "tuning-operator"


class HelmError(RuntimeError):
    """Helm left with a code other than 0; the message is what it wrote to standard error."""


def helm(cluster: Cluster, *args: str, timeout: float = 120) -> str:
    """Standard output of helm as the cluster's administrator, with a home of its own."""
    home = cluster.directory / "helm"
    own = {"KUBECONFIG": str(cluster.kubeconfig)}
    own |= {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    command = [str(programs.helm()), *args]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=os.environ | own)
    if run.returncode:
        raise HelmError(f"helm {' '.join(args)}: exit code {run.returncode}\n{run.stderr or run.stdout}")
    return run.stdout


def settings(**values: object) -> list[str]:
    """`--set-json` arguments; `__` in a name is a dot: settings(image__tag="x", watchNamespaces=["a"])."""
    return [f"--set-json={name.replace('__', '.')}={json.dumps(value)}" for name, value in values.items()]
