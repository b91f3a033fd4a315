"""What an ASHA study costs the API server: writes and bytes for each trial, and how long a pause waits for its record.

    python -m tests.bench.rung_writes                     # 40 trials x 8 parallel, Hybrid, nine steps of 1 s
    python -m tests.bench.rung_writes --mode Pause

The clock and the counter are the API server's audit log. Lateness is from the moment at which a pod reaches a rung (it
starts, then a step takes a second) to the record of the rung; pods that went on from a checkpoint are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.bench.idle_gap import Load, Outcome, read
from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.claims import a_claim
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode

STEPS = 9
LOAD = Load(40, 8, float(STEPS), 0.0)

Object = dict[str, Any]


def measure(cluster: ControlPlane, mode: str) -> tuple[Outcome, list[float], list[Object]]:
    namespace = cluster.new_namespace("rungs")
    claim = a_claim(cluster, namespace)
    study = a_study(
        "rungs", trials=LOAD.trials, parallel=LOAD.parallel, algorithm={"name": "TPE", "seed": 1},
        fidelity={"parameter": "epochs", "min": 1, "max": STEPS, "reduction": 3},
        scheduler={"name": "ASHA", "asha": {"mode": mode}},
    )  # fmt: skip
    study["spec"]["trial"]["checkpoints"] = {"claimName": claim}
    cluster.client.create("tuningstudies", study, namespace)
    wait_for_state(cluster, namespace, "rungs", "Succeeded", timeout=300)
    settle(cluster, 2)  # the audit log is written behind
    events = list(cluster.audit_events())
    return read(events, namespace, LOAD), lateness(events, namespace), cluster.client.list("tuningtrials", namespace)


def lateness(events: Sequence[Object], namespace: str) -> list[float]:
    """Seconds from a rung to its record, for the first attempts."""
    started: dict[str, float] = {}
    recorded: set[tuple[str, int]] = set()
    found = []
    for event in events:
        ref, agent = event.get("objectRef") or {}, event.get("userAgent", "")
        if ref.get("namespace") != namespace or event["verb"] != "patch" or event["responseStatus"]["code"] >= 300:
            continue
        if agent == "fake-node/running" and ref["name"].rsplit("-", 2)[1] == "0":
            started[ref["name"].rsplit("-", 2)[0]] = _when(event)
        elif agent.startswith(AGENT) and ref["resource"] == "tuningtrials":
            status = event["requestObject"]["status"]
            for rung in status.get("rungs", []):
                key = ref["name"], rung["budget"]
                if key in recorded or ref["name"] not in started or status["attempt"] > 1 or rung["budget"] == STEPS:
                    continue
                recorded.add(key)
                found.append(_when(event) - started[ref["name"]] - rung["budget"])
    return sorted(found)


def _when(event: Object) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", default="Hybrid", choices=["Hybrid", "Pause", "Stop"])
    args = parser.parse_args(arguments)
    with ControlPlane(Options(audit="Request")) as cluster:
        install_crds(cluster)
        with FakeNode(cluster, seconds=STEPS), OperatorProcess(cluster):
            settle(cluster)
            outcome, late, ledger = measure(cluster, args.mode)
    attempts = sum(trial["status"]["attempt"] + (trial["status"]["state"] == "Succeeded") for trial in ledger)
    rungs = sum(len(trial["status"].get("rungs", [])) for trial in ledger)
    writes = sum(outcome.writes.values())
    print(f"ASHA {args.mode}, {LOAD.name}: {attempts} attempts ended, {rungs} rungs recorded, {outcome.total:.1f} s")
    print(f"  writes {writes / LOAD.trials:.2f} a trial, {writes / max(1, rungs):.2f} a rung")
    print(f"  request bodies {outcome.size / LOAD.trials / 1024:.2f} KiB a trial")
    for what, count in outcome.writes.most_common():
        print(f"    {count / LOAD.trials:5.2f}  {what}")
    if late:
        print(f"  a rung's record follows it by p50 {late[len(late) // 2]:.2f} s, max {late[-1]:.2f} s")


if __name__ == "__main__":
    main()
