"""`python -m tests.testcluster up`: a cluster to play with. `build`: what the tests need, ahead of time."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading

from tests.testcluster import programs
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode
from tests.testcluster.realnode import RealCluster, prepare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.testcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build all programs")
    build.add_argument("--node", action="store_true", help="also what the real node needs")
    up = commands.add_parser("up", help="start a cluster and keep it until Ctrl-C")
    up.add_argument("--node", choices=("none", "fake", "real"), default="none")
    up.add_argument("--seconds", type=float, default=5, help="how long pods run on the fake node")
    up.add_argument("--audit", choices=("metadata", "request"), default="metadata", help="level of the audit log")
    args = parser.parse_args()
    if args.command == "build":
        for program in programs.ALL:
            print(program.path())
        if args.node:
            prepare()
    else:
        _up(args.node, audit=args.audit.capitalize(), seconds=args.seconds)


def _up(node: str, *, audit: str, seconds: float) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        start = RealCluster if node == "real" else ControlPlane
        cluster = stack.enter_context(start(Options(audit=audit)))
        if node == "fake":
            stack.enter_context(FakeNode(cluster, seconds=seconds))
        print(f"export KUBECONFIG={cluster.kubeconfig} PATH={programs.kubectl().parent}:$PATH")
        print(f"# audit log and logs of the components: {cluster.directory}")
        print("# Ctrl-C ends it", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
