"""How long an accelerator waits between two trials, and what a trial costs the API server.

    python -m tests.bench.idle_gap            # 60 trials x 4 parallel, pods of 5 to 7 s; then 300 x 32, pods of 2 s
    python -m tests.bench.idle_gap --only 60x4

The clock is the API server's audit log (microseconds): from the status write that ends a pod to the create of the next
Job, the k-th end matched with the k-th Job after the first ones. Conditions: control plane of tests/testcluster
(controller-manager with 200 qps, burst 300, 20 Job syncs; etcd without fsync), one fake node, all on this machine; say
how many cores it has. Baseline by the same method on 2 cores, Katib: p50/p99 1.07/1.21 s at 60 x 4 and 2.11/2.65 s at
300 x 32, 37.0 s for the 300, 41-44 writes and 161-228 KiB a trial.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
BAR_WRITES, BAR_BYTES, BAR_TOTAL = 5.0, 12 * 1024, 1.1

Object = dict[str, Any]


@dataclass(frozen=True)
class Load:
    trials: int
    parallel: int
    seconds: float
    jitter: float

    @property
    def name(self) -> str:
        return f"{self.trials}x{self.parallel}"

    @property
    def ideal(self) -> float:
        return self.trials / self.parallel * (self.seconds + self.jitter / 2)


LOADS = (Load(60, 4, 5, 2), Load(300, 32, 2, 0))


@dataclass(frozen=True)
class Outcome:
    load: Load
    gaps: list[float]
    total: float
    writes: Counter[str]
    size: int

    def quantile(self, q: float) -> float:
        return self.gaps[min(len(self.gaps) - 1, round(q * (len(self.gaps) - 1)))]

    def lines(self) -> list[str]:
        load, trials = self.load, self.load.trials
        writes, size = sum(self.writes.values()) / trials, self.size / trials / 1024
        p50, p99, most = self.quantile(0.5) * 1e3, self.quantile(0.99) * 1e3, self.gaps[-1] * 1e3
        return [
            f"{load.name}, pods of {load.seconds:g} to {load.seconds + load.jitter:g} s",
            f"  idle gap p50 {p50:.1f}, p99 {p99:.1f}, max {most:.1f} ms (bars 30 and 150 at 60x4)",
            f"  first Job to last end {self.total:.2f} s = {self.total / load.ideal:.3f} x the ideal"
            f" {load.ideal:.2f} s (bar {BAR_TOTAL:g} at 300x32)",
            f"  writes per trial {writes:.2f} (bar {BAR_WRITES:g})",
            f"  request bodies {size:.2f} KiB per trial (bar {BAR_BYTES // 1024})",
            *[f"    {count / trials:5.2f}  {what}" for what, count in self.writes.most_common()],
        ]


def measure(cluster: ControlPlane, load: Load, algorithm: str = "TPE") -> Outcome:
    """Run one study of this load to its end and read the audit log."""
    namespace = cluster.new_namespace(f"gap-{load.name}")
    study = a_study("gap", trials=load.trials, parallel=load.parallel, algorithm={"name": algorithm, "seed": 1})
    cluster.client.create("tuningstudies", study, namespace)
    wait_for_state(cluster, namespace, "gap", "Succeeded", timeout=load.ideal * 5 + 60)
    settle(cluster, 2)  # the audit log is written behind
    return read(cluster.audit_events(), namespace, load)


def read(events: Any, namespace: str, load: Load) -> Outcome:
    ends, jobs, writes, size = [], [], Counter[str](), 0
    for event in events:
        ref = event.get("objectRef") or {}
        if event["verb"] not in WRITES or ref.get("namespace") != namespace:
            continue
        what, agent, code = _what(event), event.get("userAgent", ""), event["responseStatus"]["code"]
        if what == "patch pods/status" and agent.startswith("fake-node/ended") and code < 300:
            ends.append(_when(event))
        if agent.startswith(AGENT):
            if what == "create jobs" and code < 300 and "dryRun" not in event["requestURI"]:
                jobs.append(_when(event))
            writes[what + ("" if code < 300 else f" ({code})")] += 1
            if event.get("requestObject"):
                size += len(json.dumps(event["requestObject"], separators=(",", ":")))
    ends.sort()
    jobs.sort()
    gaps = sorted(job - end for end, job in zip(ends, jobs[load.parallel :], strict=False))
    return Outcome(load, gaps, ends[-1] - jobs[0], writes, size)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[load.name for load in LOADS])
    parser.add_argument("--algorithm", default="TPE", choices=["TPE", "Random"])
    args = parser.parse_args(arguments)
    with ControlPlane(Options(audit="Request")) as cluster:
        install_crds(cluster)
        for load in LOADS:
            if args.only not in (None, load.name):
                continue
            with FakeNode(cluster, seconds=load.seconds, jitter=load.jitter), OperatorProcess(cluster):
                settle(cluster)
                print("\n".join(measure(cluster, load, args.algorithm).lines()), flush=True)


def _what(event: Object) -> str:
    ref = event["objectRef"]
    subresource = f"/{ref['subresource']}" if ref.get("subresource") else ""
    return f"{event['verb']} {ref['resource']}{subresource}"


def _when(event: Object) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


if __name__ == "__main__":
    main()
