"""What half an hour of full load with faults does to the operator: memory, CPU and events by the time.

    python -m tests.bench.soak [--minutes 30] [--studies 1000] [--large 10000] [--parallel 500]

Known all the time: `studies` studies, nearly all of them ended, and one of `large` trials, all but the last hundred of
which are recorded and which runs four at once. Ten studies run with `parallel` trials at once in all, pods of 100
to 140 s; each that ends is looked through (every number once, every trial with its result), deleted, and followed by
another one, so that the cluster is as large at the end as in the beginning. A fault comes every minute: the operator's
line cut, or dead for ten seconds; API server or etcd killed; etcd frozen; the controllers killed. The
operator itself runs on. Memory is the resident set (VmRSS), every ten seconds.

Bars: at most 400 MB, and a median of the last third at most 5 % over that of the second; CPU and events of a trial no
more in the last third than 1.25 x those of the second; nothing lost. The exit code is 1 if one is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.bench.operator_footprint import BAR_LARGE_MB, a_recorded_trial, an_ended_study
from tests.bench.throughput import cpu_seconds
from tests.chaos.wire import Wire
from tests.operator_process import AGENT, OperatorProcess, a_study, install_crds, settle
from tests.testcluster.access import write_kubeconfig
from tests.testcluster.client import ApiError, eventually
from tests.testcluster.control_plane import ControlPlane, Options
from tests.testcluster.fakenode import FakeNode

BAR_GROWTH, BAR_COST = 1.05, 1.25
RUNNING, ROUNDS, LAST = 10, 4, 100
SECONDS, JITTER = 100, 40
EVERY, FAULT_EVERY, TOLD_EVERY = 10.0, 60.0, 30.0
UNLIMITED = ("--kube-api-qps=5000", "--kube-api-burst=10000")

Object = dict[str, Any]


@dataclass(frozen=True)
class Look:
    at: float
    mb: float
    cpu: float
    """Seconds of processor so far."""
    ended: int
    """Trials recorded so far."""
    events: int
    """That the operator has written so far."""


@dataclass
class Soak:
    cluster: ControlPlane
    operator: OperatorProcess
    wire: Wire
    namespace: str
    parallel: int
    looks: list[Look] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    studies: int = 0
    faults: int = 0
    _log: Any = None
    _ended: int = 0
    _events: int = 0

    def run(self, seconds: float) -> None:
        began = told = fault = time.monotonic()
        faults = itertools.cycle(self._faults())
        while (now := time.monotonic()) - began < seconds:
            self._replace_ended()
            self.looks.append(self._look(now - began))
            if now - told >= TOLD_EVERY:
                told = now
                print(self._line(), flush=True)
            if now - fault >= FAULT_EVERY:
                fault = now
                name, inflict = next(faults)
                print(f"{now - began:6.0f} s: {name}", flush=True)
                inflict()
                self.faults += 1
                eventually(self.cluster.ready, timeout=90, interval=0.2, what="the API server is ready")
            time.sleep(max(0.0, EVERY - (time.monotonic() - now)))
        if not self.operator.process.running:
            self.problems.append("the operator has ended")

    def _faults(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("the line is cut", self.wire.cut),
            ("the API server is killed", lambda: self._kill("kube-apiserver")),
            ("the line is dead for 10 s", self._dead_line),
            ("etcd is killed", lambda: self._kill("etcd")),
            ("the controllers are killed", lambda: self._kill("kube-controller-manager", "kube-scheduler")),
            ("etcd is frozen for 3 s", self._frozen),
        ]

    def _kill(self, *names: str) -> None:
        for name in names:
            self.cluster.component(name).kill()
        time.sleep(1)
        for name in names:
            self.cluster.component(name).start()

    def _dead_line(self) -> None:
        self.wire.die()
        time.sleep(10)
        self.wire.heal()

    def _frozen(self) -> None:
        self.cluster.component("etcd").freeze()
        time.sleep(3)
        self.cluster.component("etcd").thaw()

    def _replace_ended(self) -> None:
        """As many studies as wanted; what has ended is judged and goes."""
        try:
            studies = self.cluster.client.list("tuningstudies", self.namespace)
            over = [each for each in studies if each.get("status", {}).get("completionTime")]
            for study in over:
                self._judge(study)
                self.cluster.client.delete("tuningstudies", study["metadata"]["name"], self.namespace)
            for _ in range(RUNNING - len(studies) + len(over)):
                self._create()
        except (ApiError, urllib3.exceptions.HTTPError) as error:
            print(f"        asked again later: {type(error).__name__}", flush=True)

    def _create(self) -> None:
        at_once = max(1, self.parallel // RUNNING)
        name, algorithm = f"running-{self.studies}", {"name": "Random", "seed": self.studies}
        study = a_study(name, trials=ROUNDS * at_once, parallel=at_once, algorithm=algorithm)
        self.cluster.client.create("tuningstudies", study, self.namespace)
        self.studies += 1

    def _judge(self, study: Object) -> None:
        name, wanted = study["metadata"]["name"], study["spec"]["limits"]["trials"]
        trials = self.cluster.client.list("tuningtrials", self.namespace, labels=f"tuning.study/study={name}")
        numbers = sorted(trial["spec"]["number"] for trial in trials)
        if numbers != list(range(wanted)):
            self.problems.append(f"{name} has the trials {numbers}")
        without = [each["spec"]["number"] for each in trials if not each.get("status", {}).get("result")]
        if without or study["status"]["state"] != "Succeeded":
            self.problems.append(f"{name} is {study['status']['state']}, without a result of {without}")

    def _look(self, at: float) -> Look:
        self._read_audit()
        text = Path(f"/proc/{self.operator.process.pid}/status").read_text()
        mb = next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))
        return Look(at, mb, cpu_seconds(self.operator.process.pid), self._ended, self._events)

    def _read_audit(self) -> None:
        """What has been written since the last time; etcd's word would be more, and cost more."""
        self._log = self._log or self.cluster.audit_log.open()
        for line in self._log:
            if AGENT not in line or '"code":20' not in line:
                continue
            self._events += '"resource":"events"' in line and '"verb":"get"' not in line
            self._ended += '"resource":"tuningtrials"' in line and '"subresource":"status"' in line

    def _line(self) -> str:
        last = self.looks[-1]
        before = next(each for each in self.looks if each.at >= last.at - TOLD_EVERY - EVERY)
        return (
            f"{last.at:6.0f} s: {last.mb:5.0f} MB, {last.ended} trials recorded, {_cost(before, last) * 1e3:.1f} ms CPU"
            f" a trial, {last.events} events, {self.studies} studies begun"
        )


def _cost(first: Look, last: Look) -> float:
    return (last.cpu - first.cpu) / max(1, last.ended - first.ended)


def _events(first: Look, last: Look) -> float:
    return (last.events - first.events) / max(1, last.ended - first.ended)


def verdict(soak: Soak) -> Iterator[str]:
    """Prints what was measured; gives what is wrong."""
    looks, third = soak.looks, len(soak.looks) // 3
    parts = [looks[:third], looks[third : 2 * third], looks[2 * third :]]
    print("third  median MB  most MB  trials  ms CPU a trial  events a trial")
    for number, part in enumerate(parts, start=1):
        first, last = part[0], part[-1]
        memory = [each.mb for each in part]
        print(
            f"{number:5}  {statistics.median(memory):9.1f}  {max(memory):7.1f}  {last.ended - first.ended:6}"
            f"  {_cost(first, last) * 1e3:14.2f}  {_events(first, last):14.2f}"
        )
    second, final = ([each.mb for each in part] for part in parts[1:])
    growth = statistics.median(final) / statistics.median(second)
    cost = _cost(parts[2][0], parts[2][-1]) / _cost(parts[1][0], parts[1][-1])
    events = _events(parts[2][0], parts[2][-1]) / max(1e-9, _events(parts[1][0], parts[1][-1]))
    slope = statistics.linear_regression([each.at / 3600 for each in looks[third:]], second + final).slope
    print(
        f"memory x {growth:.3f} ({slope:+.0f} MB an hour), CPU a trial x {cost:.2f}, events a trial x {events:.2f}; "
        f"{soak.faults} faults, {soak.studies} studies begun"
    )
    yield from soak.problems
    if max(each.mb for each in looks) > BAR_LARGE_MB:
        yield f"more than {BAR_LARGE_MB} MB"
    if growth > BAR_GROWTH:
        yield f"memory grows by more than {BAR_GROWTH - 1:.0%}"
    if max(cost, events) > BAR_COST:
        yield f"a trial costs more than {BAR_COST} x what it cost before"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=10_000, help="trials of the large study")
    parser.add_argument("--parallel", type=int, default=500, help="trials at once")
    args = parser.parse_args(arguments)
    options = Options(controller_args=UNLIMITED, scheduler_args=UNLIMITED)
    with ControlPlane(options) as cluster, FakeNode(cluster, seconds=SECONDS, jitter=JITTER):
        install_crds(cluster)
        settle(cluster)
        print(f"{args}, {os.cpu_count()} cores", flush=True)
        began = time.monotonic()
        known, large, running = (cluster.new_namespace(name) for name in ("known", "large", "running"))
        study = a_study("large", trials=args.large, parallel=4, algorithm={"name": "Random", "seed": 1}, suspend=True)
        created = cluster.client.create("tuningstudies", study, large)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: a_recorded_trial(cluster, large, created, n), range(args.large - LAST)))
            list(pool.map(lambda n: an_ended_study(cluster, known, n, 1), range(args.studies - RUNNING - 1)))
        print(f"all there after {time.monotonic() - began:.0f} s", flush=True)
        wire = Wire(cluster.server)
        access = dataclasses.replace(cluster.user_access("soak", "system:masters"), server=wire.server)
        path = write_kubeconfig(cluster.directory / "soak.kubeconfig", access)
        try:
            with OperatorProcess(cluster, name="soak", kubeconfig=path) as operator:
                eventually(lambda: operator.get("/readyz") == "ok\n", timeout=300, what="the watch runs")
                cluster.client.patch("tuningstudies", "large", {"spec": {"suspend": False}}, large)
                soak = Soak(cluster, operator, wire, running, args.parallel)
                soak.run(args.minutes * 60)
        finally:
            wire.close()
    problems = list(verdict(soak))
    print("\n".join(problems or ["every bar is kept"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
