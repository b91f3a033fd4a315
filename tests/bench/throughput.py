"""Trials that end at once: how many the operator brings to an end a second, beside what a bare client could.

    python -m tests.bench.throughput [--studies 8] [--parallel 16] [--trials 100] [--algorithm Random]

Both run on the same control plane, one after the other, and make the same Jobs (`job_for` of the same studies) by the
same client library (`cluster.client.Client`) with as many requests under way as the operator allows itself (16 for each
study). The bare client only creates Jobs, as fast as they are taken, and neither waits for nor records anything. The
work that each Job brings along goes on beside it: the Job controller, the scheduler and the node have their part of the
same processors in both. So two rates are told of the bare client:

* created: from its first request to the last answer. A burst; most of the Jobs' pods are still to be made then.
* ended: from its first request to the last pod's end. What the control plane and the node can sustain, and so the most
  that anybody could reach whose trials end. The bar, 50 %, is of this one.

The operator's rate is that of its trials' results, from its first Job to its last record: everything between (a trial,
its Job, its result, the status of its study, the watches) is the price of not being a bare client. The client limits
of controller-manager and scheduler are lifted, as they would be what is measured (200 and 50 requests a second; a Job
takes the controller about five). Several rounds, in turn, as other work may share the machine. The clock is the API
server's audit log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.idle_gap import WRITES
from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle, wait_for_state
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role
from tuning_operator.cluster.act import AT_ONCE
from tuning_operator.cluster.client import JOBS, Client
from tuning_operator.cluster.connection import Connection, Source
from tuning_operator.cluster.jobs import JobSettings, job_for, owner_reference
from tuning_operator.core.model import Study, Trial
from tuning_operator.search.types import Suggestion

BAR = 0.5
UNLIMITED = ("--kube-api-qps=5000", "--kube-api-burst=10000")

Object = dict[str, Any]


@dataclass(frozen=True)
class Load:
    studies: int
    parallel: int
    trials: int
    algorithm: str

    @property
    def total(self) -> int:
        return self.studies * self.trials


@dataclass(frozen=True)
class Round:
    created: float
    """Jobs a second of the bare client, up to the last answer."""
    ended: float
    """The same up to the last pod's end."""
    trials: float
    """Trials a second of the operator."""
    cpu: float
    """Seconds of processor that the operator took for a trial."""
    writes: float

    @property
    def share(self) -> float:
        return self.trials / self.ended

    def __str__(self) -> str:
        return (
            f"bare client {self.created:.0f} Jobs/s created, {self.ended:.1f} Jobs/s ended; operator "
            f"{self.trials:.1f} trials/s, {self.cpu * 1e3:.1f} ms CPU and {self.writes:.2f} writes a trial; "
            f"{self.share:.0%} of the Jobs ended, {self.trials / self.created:.0%} of those created"
        )


def measure(cluster: ControlPlane, load: Load) -> Round:
    created, ended = _bare(cluster, load)
    namespace = cluster.new_namespace("throughput")
    with OperatorProcess(cluster) as operator:
        # It has imported and watches everything before it is measured.
        cluster.client.create("tuningstudies", a_study("first", trials=4, parallel=4), namespace)
        wait_for_state(cluster, namespace, "first", "Succeeded")
        eventually(lambda: operator.get("/readyz") == "ok\n", what="the watch runs")
        namespace = cluster.new_namespace("throughput")
        before = cpu_seconds(operator.process.pid)
        for study in _studies(load):
            cluster.client.create("tuningstudies", study, namespace)
        for study in _studies(load):
            wait_for_state(cluster, namespace, study["metadata"]["name"], "Succeeded", timeout=600)
        cpu = (cpu_seconds(operator.process.pid) - before) / load.total
    times = _times(cluster, namespace)
    records = times["patch tuningtrials/status"]
    writes = sum(len(each) for what, each in times.items() if what != "ends") / load.total
    return Round(created, ended, load.total / (records[-1] - times["create jobs"][0]), cpu, writes)


def cpu_seconds(pid: int) -> float:
    """Of a process, all its threads, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--parallel", type=int, default=16, help="trials at once of each study")
    parser.add_argument("--trials", type=int, default=100, help="of each study")
    parser.add_argument("--algorithm", default="Random", choices=["Random", "TPE"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(arguments)
    load = Load(args.studies, args.parallel, args.trials, args.algorithm)
    print(f"{load}, {os.cpu_count()} cores", flush=True)
    found: list[Round] = []
    with ControlPlane(Options(controller_args=UNLIMITED, scheduler_args=UNLIMITED)) as cluster:
        install_crds(cluster)
        with FakeNode(cluster, seconds=0):
            settle(cluster)
            for _ in range(args.rounds):
                found.append(measure(cluster, load))
                print(found[-1], flush=True)
    print(f"median: {statistics.median(each.share for each in found):.0%} of the bare client (bar {BAR:.0%})")


def _bare(cluster: ControlPlane, load: Load) -> tuple[float, float]:
    namespace = cluster.new_namespace("bare")
    owners = [
        cluster.client.create("tuningstudies", study | {"spec": study["spec"] | {"suspend": True}}, namespace)
        for study in _studies(load)
    ]
    jobs = [_job(owner, number) for number in range(load.trials) for owner in owners]
    created = asyncio.run(_create(str(cluster.kubeconfig), jobs, at_once=load.studies * AT_ONCE))
    eventually(
        lambda: _over(cluster, namespace) == load.total, timeout=600, interval=0.5, what="every pod of the bare client"
    )
    times = _times(cluster, namespace)
    ended = load.total / (times["ends"][-1] - times["create jobs"][0])
    return created, ended


async def _create(kubeconfig: str, jobs: Sequence[Object], *, at_once: int) -> float:
    """Jobs a second."""
    client = Client(await Connection.open(Source.find(kubeconfig)))
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await client.create(JOBS, job["metadata"]["namespace"], job)

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(at_once)))
    seconds = time.monotonic() - began
    await client.close()
    return len(jobs) / seconds


def _studies(load: Load) -> list[Object]:
    algorithm = {"name": load.algorithm, "seed": 1}
    return [
        a_study(f"study-{n}", trials=load.trials, parallel=load.parallel, algorithm=algorithm)
        for n in range(load.studies)
    ]


def _job(raw: Object, number: int) -> Object:
    """As the operator would make it, but for its owner: there is no trial."""
    metadata = raw["metadata"]
    spec = StudySpec.model_validate(raw["spec"])
    study = Study(metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"], spec, 0.0)
    trial = Trial(number, Role.SEARCH, Suggestion({"lr": 0.01, "momentum": 0.5, "layers": 3}, "Random", 0), 0.0)
    owner = owner_reference(raw["kind"], name=study.name, uid=study.uid)
    return job_for(study, trial, attempt=0, owner=owner, settings=JobSettings("registry.example/trainer:test"))


def _over(cluster: ControlPlane, namespace: str) -> int:
    return len(cluster.client.list("pods", namespace, fields="status.phase=Succeeded"))


def _times(cluster: ControlPlane, namespace: str) -> dict[str, list[float]]:
    """When what was written: by the operator or the bare client, and the ends of pods."""
    time.sleep(1.5)  # the audit log is written behind
    times: dict[str, list[float]] = {}
    for event in cluster.audit_events():
        ref = event.get("objectRef") or {}
        if event["verb"] not in WRITES or ref.get("namespace") != namespace or event["responseStatus"]["code"] >= 300:
            continue
        agent, what = event.get("userAgent", ""), f"{event['verb']} {ref['resource']}"
        what += f"/{ref['subresource']}" if ref.get("subresource") else ""
        if agent.startswith("fake-node/ended"):
            what = "ends"
        elif not agent.startswith(AGENT) or "dryRun" in event["requestURI"]:
            continue
        times.setdefault(what, []).append(datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp())
    return {what: sorted(each) for what, each in times.items()}


if __name__ == "__main__":
    main()
