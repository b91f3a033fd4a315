"""What one more trial costs, by how many its study has already: writes, bytes on the line, and the operator's CPU.

    python -m tests.bench.trial_cost [--sizes 100 1000 10000] [--algorithm Random] [--last 100]

Of each study all but the last trials are recorded beforehand, as a former operator left them; the last ones are run
and measured, from the first of their Jobs' pods to the study's end, pods of one second, 8 at once. Each size has an
operator of its own, which has read and watches everything when it begins. Writes are those of the API server's audit
log, without those of the lease; bytes are all that passes between the operator and the API server, both ways,
encrypted, answers and watches included; CPU is of all the operator's threads. What the operator costs while nothing
happens (lease, lists) is measured beside it and taken off. Bars: 5 writes, and no growth from the smallest size on.

With a model (`--algorithm TPE`) the search itself costs more where it knows more: that part of the CPU is told by the
difference to `Random`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.idle_gap import WRITES
from tests.bench.operator_footprint import a_recorded_trial
from tests.bench.throughput import cpu_seconds
from tests.chaos.wire import Wire
from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode

BAR_WRITES = 5.0
QUIET_SECONDS = 15.0
PARALLEL = 8


@dataclass(frozen=True)
class Cost:
    """Of one trial."""

    size: int
    writes: float
    kib: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.size:6} trials: {self.writes:.2f} writes, {self.kib:.1f} KiB, {self.cpu_ms:.1f} ms CPU a trial"

    def beside(self, other: Cost) -> str:
        return (
            f"{self.size} trials beside {other.size}: {self.writes / other.writes:.2f} x the writes, "
            f"{self.kib / other.kib:.2f} x the bytes, {self.cpu_ms / other.cpu_ms:.2f} x the CPU"
        )


@dataclass(frozen=True)
class Meter:
    """What was used up to a moment."""

    at: float
    cpu: float
    passed: int


def measure(cluster: ControlPlane, size: int, *, last: int, algorithm: str) -> Cost:
    namespace = cluster.new_namespace(f"cost-{size}")
    name, last = f"of-{size}", min(last, size)
    study = a_study(
        name, trials=size, parallel=PARALLEL, algorithm={"name": algorithm, "seed": 1}, suspend=True
    )  # fmt: skip
    created = cluster.client.create("tuningstudies", study, namespace)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: a_recorded_trial(cluster, namespace, created, n), range(size - last)))
    wire = Wire(cluster.server)
    access = dataclasses.replace(cluster.user_access(f"cost-{size}", "system:masters"), server=wire.server)
    path = write_kubeconfig(cluster.directory / f"cost-{size}.kubeconfig", access)
    try:
        with OperatorProcess(cluster, name=f"cost-{size}", kubeconfig=path) as operator:

            def now() -> Meter:
                return Meter(time.monotonic(), cpu_seconds(operator.process.pid), wire.passed)

            wait_for_state(cluster, namespace, name, "Suspended", timeout=300)
            eventually(lambda: operator.get("/readyz") == "ok\n", timeout=300, what="the watch runs")
            time.sleep(5)
            first = now()
            time.sleep(QUIET_SECONDS)
            quiet = now()
            cluster.client.patch("tuningstudies", name, {"spec": {"suspend": False}}, namespace)
            wait_for_state(cluster, namespace, name, "Succeeded", timeout=900)
            end = now()
    finally:
        wire.close()
    idle = (end.at - quiet.at) / (quiet.at - first.at)
    cpu = end.cpu - quiet.cpu - idle * (quiet.cpu - first.cpu)
    passed = end.passed - quiet.passed - idle * (quiet.passed - first.passed)
    return Cost(size, _writes(cluster, namespace) / last, passed / last / 1024, cpu / last * 1e3)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--last", type=int, default=100, help="trials that are run and measured")
    parser.add_argument("--algorithm", default="Random", choices=["Random", "TPE"])
    args = parser.parse_args(arguments)
    print(
        f"{args.algorithm}, the last {args.last} trials, {os.cpu_count()} cores, bar {BAR_WRITES:g} writes", flush=True
    )
    costs: list[Cost] = []
    with ControlPlane() as cluster:
        install_crds(cluster)
        with FakeNode(cluster, seconds=1):
            settle(cluster)
            for size in args.sizes:
                costs.append(measure(cluster, size, last=args.last, algorithm=args.algorithm))
                print(costs[-1], flush=True)
    for cost in costs[1:]:
        print(cost.beside(costs[0]))


def _writes(cluster: ControlPlane, namespace: str) -> int:
    time.sleep(1.5)  # the audit log is written behind
    return sum(
        event["verb"] in WRITES
        and (event.get("objectRef") or {}).get("namespace") == namespace
        and event.get("userAgent", "").startswith(AGENT)
        and event["responseStatus"]["code"] < 300
        for event in cluster.audit_events()
    )


if __name__ == "__main__":
    main()
