"""Bring what is made from other files up to date: the chart's copy of crds/, and install.yaml from the chart.

    python charts/render.py [--check] [--helm PATH]

With --check nothing is written; the exit code is 1 if anything would be. install.yaml is for people without Helm.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "tuning-operator"
INSTALL = ROOT / "charts" / "install.yaml"
NAMESPACE = "tuning-system"

HEADER = f"""\
# Made from the chart by charts/render.py; not to be edited.
#   kubectl apply -f install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
HELMS_OWN = re.compile(r"^ *(app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*|# Source: .*)\n", re.MULTILINE)
"""Lines that would say that Helm manages what `kubectl apply` made."""


def crd_copies() -> dict[Path, str]:
    """The chart's copy of every CRD: path -> text."""
    return {CHART / "files" / "crds" / crd.name: crd.read_text() for crd in sorted((ROOT / "crds").glob("*.yaml"))}


def install_manifest(helm: str | Path) -> str:
    """The whole installation as one text, as `helm template` makes it with the chart's own values."""
    command = [str(helm), "template", "tuning-operator", str(CHART), "--namespace", NAMESPACE]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"render.py: no {helm!r} here; put Helm 3.14 or newer on PATH, or say --helm PATH") from None
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {run.returncode}\n{run.stderr}")
    return HEADER + HELMS_OWN.sub("", run.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if anything is out of date")
    parser.add_argument("--helm", default="helm", help="the helm program (default: the one on PATH)")
    args = parser.parse_args()

    stale = _update(crd_copies(), write=not args.check)
    stale += _update({INSTALL: install_manifest(args.helm)}, write=not args.check)
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date: run charts/render.py' if args.check else 'written'}")
    return 1 if args.check and stale else 0


def _update(texts: dict[Path, str], *, write: bool) -> list[Path]:
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if write:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path])
    return stale


if __name__ == "__main__":
    sys.exit(main())
