"""What the operator needs: memory with many studies known, and the time from its start to the first Job.

    python -m tests.bench.operator_footprint [--studies 100] [--trials 20] [--large 10000] [--many 1000]

Memory is the resident set (VmRSS) 20 s after everything was read and every status written, each time of a new process
in which one study ran meanwhile. First with `studies` ended ones of `trials` trials; then beside them one of `large`
trials whose last ones it ran; then with `many` studies in all. Cold start is from the start of the process to the
create of the first Job in the API server's audit log. Bars: 150 MB with 100 studies and 2,000 trials; 10 KB a trial;
400 MB with 1,000 studies and 10,000 trials; 3 s.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode
from tuning_operator.core.naming import trial_name

BAR_MB, BAR_LARGE_MB, BAR_KB, BAR_START = 150, 400, 10, 3.0

Object = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20, help="of each study")
    parser.add_argument("--large", type=int, default=10_000, help="trials of one more study; 0: none")
    parser.add_argument("--many", type=int, default=1_000, help="studies in all at the end; those added have one trial")
    args = parser.parse_args()
    with ControlPlane() as cluster, FakeNode(cluster, seconds=1):
        install_crds(cluster)
        settle(cluster, 5)
        print(f"cold start, empty cluster: {cold_start(cluster, 'fresh'):.2f} s to the first Job (bar {BAR_START:g})")
        namespace = cluster.new_namespace("many")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: an_ended_study(cluster, namespace, n, args.trials), range(args.studies)))
        known = f"{args.studies} studies, {args.studies * args.trials} trials"
        before = memory(cluster, namespace, args.studies)
        print(f"resident memory, {known}: {before:.0f} MB (bar {BAR_MB})", flush=True)
        print(f"cold start, {known}: {cold_start(cluster, 'among-many'):.2f} s to the first Job (bar {BAR_START:g})")
        if args.large:
            large = a_large_study(cluster, args.large)
            after = memory(cluster, namespace, args.studies, large=large)
            growth = (after - before) * 1024 / args.large
            print(
                f"and a study of {args.large} trials: {after:.0f} MB, {growth:.1f} KB a trial (bar {BAR_KB})",
                flush=True,
            )
        if args.many > args.studies:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: an_ended_study(cluster, namespace, n, 1), range(args.studies, args.many)))
            after = memory(cluster, namespace, args.many)
            print(f"and {args.many} studies in all: {after:.0f} MB (bar {BAR_LARGE_MB})")


def cold_start(cluster: ControlPlane, name: str) -> float:
    """Start the operator with one new study and wait for its end."""
    namespace = cluster.new_namespace(name)
    cluster.client.create("tuningstudies", a_study("fresh", trials=4, parallel=2), namespace)
    began = time.time()
    with OperatorProcess(cluster, name=name):
        wait_for_state(cluster, namespace, "fresh", "Succeeded")
    time.sleep(1)
    jobs = [
        datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        for event in cluster.audit_events()
        if event["verb"] == "create"
        and (event.get("objectRef") or {}).get("resource") == "jobs"
        and event["objectRef"].get("namespace") == namespace
        and event.get("userAgent", "").startswith(AGENT)
        and "dryRun" not in event["requestURI"]
    ]
    return min(jobs) - began


def memory(cluster: ControlPlane, namespace: str, studies: int, *, large: str = "") -> float:
    with OperatorProcess(cluster, name="memory") as operator:
        eventually(lambda: _ended(cluster, namespace) == studies, timeout=600, interval=1, what="every status")
        if large:
            wait_for_state(cluster, large, "large", "Succeeded", timeout=600)
        busy = cluster.new_namespace("busy")
        cluster.client.create("tuningstudies", a_study("busy", trials=12, parallel=4), busy)
        wait_for_state(cluster, busy, "busy", "Succeeded")
        time.sleep(20)
        status = Path(f"/proc/{operator.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def an_ended_study(cluster: ControlPlane, namespace: str, number: int, trials: int) -> None:
    """A study whose trials are all recorded, as a former operator left it."""
    name = f"study-{number}"
    study = cluster.client.create("tuningstudies", a_study(name, trials=trials, parallel=4), namespace)
    for index in range(trials):
        a_recorded_trial(cluster, namespace, study, index)


def a_large_study(cluster: ControlPlane, trials: int) -> str:
    """A study all but the last trials of which are recorded: the others are suggested and run. Gives its namespace."""
    namespace = cluster.new_namespace("large")
    study = cluster.client.create("tuningstudies", a_study("large", trials=trials, parallel=4, suspend=True), namespace)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: a_recorded_trial(cluster, namespace, study, n), range(trials - 20)))
    cluster.client.patch("tuningstudies", "large", {"spec": {"suspend": False}}, namespace)
    return namespace


def a_recorded_trial(cluster: ControlPlane, namespace: str, study: Object, index: int) -> None:
    name, uid = study["metadata"]["name"], study["metadata"]["uid"]
    trial = trial_name(name, uid, index)
    owner = {
        "apiVersion": study["apiVersion"], "kind": "TuningStudy", "name": name, "uid": uid, "controller": True,
    }  # fmt: skip
    labels = {
        "app.kubernetes.io/managed-by": "tuning-operator", "tuning.study/study": name,
        "tuning.study/study-uid": uid, "tuning.study/trial": str(index),
    }  # fmt: skip
    spec: Object = {
        "study": name, "number": index, "role": "Search",
        "parameters": {"lr": 0.001 + 0.09 * (index * 0.6180339887 % 1), "momentum": 0.5, "layers": 1 + index % 8},
        "suggestion": {"by": "TPE", "known": max(0, index - 1), "reason": "random start"},
    }  # fmt: skip
    cluster.client.create(
        "tuningtrials", {"metadata": {"name": trial, "labels": labels, "ownerReferences": [owner]}, "spec": spec}
        | {"apiVersion": study["apiVersion"], "kind": "TuningTrial"}, namespace,
    )  # fmt: skip
    value = 1.0 / (index + 1)
    result = {"state": "Succeeded", "reason": "Completed", "values": {"loss": value}, "metrics": {"loss": value}}
    moment = "2026-01-01T00:00:00Z"
    status = {"state": "Succeeded", "startTime": moment, "completionTime": moment, "result": result | {"step": 1}}
    cluster.client.patch("tuningtrials", trial, {"status": status}, namespace, subresource="status")


def _ended(cluster: ControlPlane, namespace: str) -> int:
    studies = cluster.client.list("tuningstudies", namespace)
    return sum(study.get("status", {}).get("state") == "Succeeded" for study in studies)


if __name__ == "__main__":
    main()
