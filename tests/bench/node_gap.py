"""How long a GPU is idle between two trials, at the node, beside what kubelet and scheduler need by themselves.

    python -m tests.bench.node_gap [--trials 30] [--seconds 3]

A real node with one (claimed) GPU, real containers, scheduler and kubelet; the operator is a process of this machine.
The clock is in the container: its first and its last command tell the time, which its termination message takes
along, so that neither the seconds of a status nor a watch are in between. Measured, one after the other:

* start: a pod that is bound to the node when it is created, from the request to its first command.
* handover: pods without any operator, two of which wait while one runs, as with two queued: from the last command of
  one to the first of the next. The kubelet looks for ended containers once a second, and only what it has reported as
  ended frees its GPU, so that nobody's gap is a mere start.
* a study that runs one trial at a time, with `limits.queued` 0 and 2: the same from trial to trial.

Two ratios are told, by the medians: to the start, and to the handover. The exit code is 1 if the second is over 1.5.
The GPU is a number of the node's status: what a device plugin takes is in none of these. It needs root.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.e2e.installed import product_image
from tests.e2e.pods import restricted
from tests.operator_process import OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.client import STRATEGIC_PATCH, eventually
from tests.testcluster.realnode import RealCluster
from tests.testcluster.realnode.cluster import NODE

BAR = 1.5
WAITING = 2
ONE = {"nvidia.com/gpu": "1"}

Object = dict[str, Any]


def script(seconds: float) -> list[str]:
    """Trains for so long; its report names when it began and ended."""
    report = '{"v":1,"step":1,"final":{"loss":1,"began":%s,"ended":%s},"done":true}'
    return [
        "sh", "-c",
        f"b=$(date +%s.%N); sleep {seconds:g}; printf '{report}' $b $(date +%s.%N) > /dev/termination-log",
    ]  # fmt: skip


def a_pod(name: str, image: str, seconds: float, *, bound: bool) -> Object:
    pod = restricted(name, image, command=script(seconds), resources={} if bound else {"limits": ONE})
    if bound:
        pod["spec"]["nodeName"] = NODE
    return pod


def starts(cluster: RealCluster, image: str, count: int) -> list[float]:
    """Seconds from the request to the first command, of pods one after the other."""
    namespace = cluster.new_namespace("start")
    found = []
    for number in range(count):
        asked = time.time()
        cluster.client.create("pods", a_pod(f"pod-{number}", image, 0.1, bound=True), namespace)
        eventually(lambda n=number: len(spans(cluster, namespace)) > n, timeout=60, what="the pod's end")
        found.append(max(spans(cluster, namespace))[0] - asked)
    return found


def handovers(cluster: RealCluster, image: str, count: int, seconds: float) -> list[float]:
    namespace = cluster.new_namespace("bare")
    for number in range(count):
        cluster.client.create("pods", a_pod(f"pod-{number}", image, seconds, bound=False), namespace)
        ended = number + 1 - WAITING
        eventually(lambda n=ended: len(spans(cluster, namespace)) >= n, timeout=60, what="the end of a pod")
    eventually(lambda: len(spans(cluster, namespace)) == count, timeout=60, what="the end of all")
    return gaps(spans(cluster, namespace))


def of_a_study(cluster: RealCluster, image: str, count: int, seconds: float, *, queued: int) -> list[float]:
    namespace = cluster.new_namespace(f"queued-{queued}")
    study = a_study("gaps", trials=count, parallel=1, algorithm={"name": "Random", "seed": 1})
    study["spec"]["limits"]["queued"] = queued
    (main,) = a_pod("main", image, seconds, bound=True)["spec"]["containers"]
    template = {"spec": {"template": {"spec": {"containers": [main]}}}}
    study["spec"]["trial"] = {"accelerator": {"count": 1}, "template": template}
    cluster.client.create("tuningstudies", study, namespace)
    wait_for_state(cluster, namespace, "gaps", "Succeeded", timeout=60 + 15 * count)
    found = spans(cluster, namespace)
    if len(found) != count:
        raise RuntimeError(
            f"{len(found)} pods of {count} trials told when they ran: the gaps between them mean nothing"
        )
    return gaps(found)


def spans(cluster: RealCluster, namespace: str) -> list[tuple[float, float]]:
    """When each pod that has ended ran."""
    found = []
    for pod in cluster.client.list("pods", namespace):
        for status in pod["status"].get("containerStatuses", ()):
            if message := status["state"].get("terminated", {}).get("message"):
                values = json.loads(message)["final"]
                found.append((values["began"], values["ended"]))
    return found


def gaps(found: list[tuple[float, float]]) -> list[float]:
    return [after[0] - before[1] for before, after in itertools.pairwise(sorted(found))]


def told(name: str, seconds: list[float], beside: float) -> float:
    """Prints a line; gives the median."""
    middle, most = statistics.median(seconds), statistics.quantiles(seconds, n=10)[-1]
    print(
        f"{name:24} median {middle:5.2f} s, p90 {most:5.2f} s, {middle / (beside or middle):.2f} x the start",
        flush=True,
    )
    return middle


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=3, help="that a trial takes")
    args = parser.parse_args(arguments)
    with RealCluster() as cluster:
        image = product_image(cluster, "operator")
        install_crds(cluster)
        cluster.client.patch(
            "nodes", NODE, {"status": {"capacity": ONE, "allocatable": ONE}},
            subresource="status", content_type=STRATEGIC_PATCH,
        )  # fmt: skip
        settle(cluster)
        print(f"{args.trials} pods of {args.seconds:g} s, {os.cpu_count()} cores", flush=True)
        start = told("start", starts(cluster, image, args.trials), 0)
        bare = told("handover, no operator", handovers(cluster, image, args.trials, args.seconds), start)
        with OperatorProcess(cluster) as operator:
            eventually(lambda: operator.get("/readyz") == "ok\n", timeout=60, what="the watch runs")
            told("study, nothing queued", of_a_study(cluster, image, args.trials, args.seconds, queued=0), start)
            ahead = told(
                "study, two queued", of_a_study(cluster, image, args.trials, args.seconds, queued=WAITING), start
            )
    print(f"with two queued {ahead / start:.2f} x the start, {ahead / bare:.2f} x the handover (bar {BAR:g})")
    return 0 if ahead <= BAR * bare else 1


if __name__ == "__main__":
    sys.exit(main())
