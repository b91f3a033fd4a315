"""One run of chaos: studies all the time, faults one after the other, then quiet, and the verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.faults import Inflict
from tests.chaos.recorded import STUDY, UID, Authors, Reader
from tests.chaos.script import Fault
from tests.chaos.stage import Stage
from tests.chaos.studies import TRIALS
from tests.history import Fact, Remains, Rests, RunCreated, TrialCreated, TrialRecorded, check
from tests.testcluster.client import ApiError, eventually

Object = dict[str, Any]

RECOVERED = 30.0
"""Seconds from the API server's return to the next Job, at most."""


@dataclass
class Outcome:
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    studies: int = 0
    trials: int = 0
    attempts: int = 0
    recorded: int = 0
    results: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    writes: int = 0
    seconds: float = 0.0
    recoveries: list[tuple[float, float]] = field(default_factory=list)
    """For each outage of the API server or etcd: how long it was, and how long after it the next Job was made."""
    restarted: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {sum(self.faults.values())} faults, {self.kills} kills in {self.seconds:.0f} s",
            f"{self.studies} studies, {self.trials} trials, {self.attempts} attempts, {self.recorded} records, "
            f"{self.facts} facts, {self.writes} writes of operators",
            "results: " + ", ".join(f"{count} {name}" for name, count in sorted(self.results.items())),
            self._back(),
            "ended by themselves: " + (", ".join(f"{name} {n}" for name, n in self.restarted.items()) or "nobody"),
            f"{len(self.problems)} problems",
        ]
        return "\n".join([*lines, *self.problems])

    def _back(self) -> str:
        back = sorted(after for _, after in self.recoveries)
        if not back:
            return "no outage"
        away, after = max(self.recoveries)
        spread = f"median {back[len(back) // 2]:.1f} s, most {back[-1]:.1f} s"
        return f"Jobs again after {len(back)} outages: {spread}; after the longest one ({away:.0f} s): {after:.1f} s"


class Chaos:
    def __init__(self, stage: Stage, *, seed: int, active: int = 4, say: Callable[[str], None] = print) -> None:
        self.stage = stage
        self.outcome = Outcome(seed)
        self._active = active
        self._say = say
        self._inflict = Inflict(stage)
        self._outages: list[tuple[float, float]] = []
        """When it began, when the API server was ready again."""
        self._began = time.monotonic()

    def hit(self, fault: Fault) -> None:
        """One fault, with all the world healed after it."""
        self._replenish()
        self._say(f"{self._clock()} {self._inflict.kills:4} kills, {self.outcome.studies} studies: {fault}")
        began = time.time()
        self._inflict(fault)
        self._healed(began, outage="API server" in fault.kind or "etcd" in fault.kind)
        self.outcome.faults[fault.kind] += 1
        time.sleep(fault.pause)

    def outage(self, seconds: float) -> None:
        """The API server is away for long."""
        self._replenish()
        self._say(f"{self._clock()} the API server is away for {seconds:g} s")
        began = time.time()
        self._inflict.outage("kube-apiserver", seconds)
        self._healed(began, outage=True)
        self.outcome.faults["long outage"] += 1
        time.sleep(5)

    def end(self, timeout: float = 180) -> Outcome:
        """Nothing goes wrong any more: every study must end. Then everything is judged."""
        self._say(f"{self._clock()} quiet; waiting for {len(self._unended())} studies")
        try:
            eventually(lambda: not self._unended(), timeout=timeout, interval=0.5, what="every study ends")
        except AssertionError as error:
            self.outcome.problems.append(f"{error}: {self._unended()}")
        time.sleep(2)
        self._judge()
        self.outcome.seconds = time.monotonic() - self._began
        return self.outcome

    @property
    def kills(self) -> int:
        return self._inflict.kills

    def _healed(self, began: float, *, outage: bool) -> None:
        for name in self.stage.heal():
            self.outcome.problems.append(f"{name} had ended by itself")
        if outage:
            self._outages.append((began, time.time()))

    def _replenish(self) -> None:
        """Keep as many studies running as wanted."""
        for _ in range(self._active - len(self._unended())):
            body = self.stage.study(self.outcome.studies)
            self.outcome.studies += 1
            eventually(lambda body=body: self._create(body), timeout=60, interval=0.2, what="a new study")

    def _create(self, body: Object) -> bool:
        try:
            self.stage.plane.client.create("tuningstudies", body, self.stage.namespace)
        except ApiError as error:
            if error.status != 409:
                raise
        return True

    def _unended(self) -> list[str]:
        found = self.stage.listed("tuningstudies")
        return [
            f"{study['metadata']['name']}: {study.get('status', {}).get('state')}"
            for study in found
            if not study.get("status", {}).get("completionTime")
        ]

    def _judge(self) -> None:
        outcome, plane = self.outcome, self.stage.plane
        self.stage.record.catch_up()
        revisions = self.stage.record.revisions()
        authors = Authors.read(plane.audit_events(), operators=self.stage.operators())
        facts = list(Reader(authors, lease=self.stage.lease_name).read(revisions))
        last = list(self._last_words())
        outcome.problems += [str(broken) for broken in check([*facts, *authors.touched, *last])]
        outcome.problems += self._ledger()
        outcome.kills, outcome.restarted = self._inflict.kills, self.stage.restarted
        outcome.facts, outcome.writes = len(facts), authors.requests
        outcome.trials = sum(isinstance(fact, TrialCreated) for fact in facts)
        outcome.attempts = sum(isinstance(fact, RunCreated) for fact in facts)
        outcome.recorded = sum(isinstance(fact, TrialRecorded) for fact in facts)
        outcome.recoveries = list(_recoveries(self._outages, facts))
        slow = [f"no Job within {after:.1f} s after an outage of {away:.0f} s" for away, after in outcome.recoveries]
        outcome.problems += [
            words for words, (_, after) in zip(slow, outcome.recoveries, strict=True) if after > RECOVERED
        ]

    def _last_words(self) -> Iterator[Fact]:
        now = time.time()
        present = {study["metadata"]["uid"]: study for study in self.stage.listed("tuningstudies")}
        for uid, study in present.items():
            yield Rests(now, uid, finished=_has_its_end(study.get("status", {})))
        left = [
            f"{kind}/{each['metadata']['name']}"
            for kind in ("tuningtrials", "jobs", "pods")
            for each in self.stage.listed(kind, labels=UID)
            if each["metadata"]["labels"][UID] not in present
        ]
        yield Remains(now, "deleted", tuple(left))

    def _ledger(self) -> Iterator[str]:
        """What is there at the end, without any history: every number once, every trial with its result."""
        ledgers: dict[str, list[Object]] = {}
        for trial in self.stage.listed("tuningtrials"):
            ledgers.setdefault(trial["metadata"]["labels"][STUDY], []).append(trial)
            result = trial.get("status", {}).get("result") or {}
            self.outcome.results[f"{result.get('state')}/{result.get('reason')}"] += 1
        for study, ledger in sorted(ledgers.items()):
            numbers = sorted(trial["spec"]["number"] for trial in ledger)
            if numbers != list(range(len(numbers))):
                yield f"the ledger of {study} has the numbers {numbers}"
            searched = sum(trial["spec"].get("role", "Search") == "Search" for trial in ledger)
            if searched != TRIALS:
                yield f"{study} has {searched} trials of its search, not {TRIALS}"
            without = [trial["spec"]["number"] for trial in ledger if not trial.get("status", {}).get("result")]
            if without:
                yield f"{study}: no result of {without}"

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:6.0f} s"


def _has_its_end(status: Object) -> bool:
    """Whatever goes wrong, its search succeeds; the pod of its final run may crash by itself, as any may."""
    why = {condition["reason"] for condition in status.get("conditions", ()) if condition["type"] == "Failed"}
    return status.get("state") == "Succeeded" or why == {"FinalRunFailed"}


def _recoveries(outages: list[tuple[float, float]], facts: list[Fact]) -> Iterator[tuple[float, float]]:
    """Outages that another one followed before there was a Job are not counted: the last one is."""
    made = [fact.at for fact in facts if isinstance(fact, RunCreated)]
    for index, (began, back) in enumerate(outages):
        following = outages[index + 1][0] if index + 1 < len(outages) else float("inf")
        first = next((at for at in made if at >= back), float("inf"))
        if first < following:
            yield back - began, first - back
