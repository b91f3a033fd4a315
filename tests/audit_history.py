"""From the API server's audit log (level Request) to the facts that the history checker reads.

`by` is the user that wrote, so replicas that shall be told apart need accounts of their own. A study is known by
namespace/name; a study that is re-created under its name needs a history of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from tests.history import (
    Fact,
    Leads,
    RunCreated,
    RunGone,
    SpecSet,
    StatusWritten,
    StudyDeleted,
    Touched,
    TrialCreated,
    TrialRecorded,
    TrialVanished,
)

OPERATOR = "tuning-operator"
OURS = {
    "create tuningtrials", "patch tuningtrials/status", "patch tuningstudies/status", "create jobs", "delete jobs",
    "create events", "patch events", "create leases", "update leases", "create services",
}  # fmt: skip
OBJECTS = ("jobs", "jobsets", "pytorchjobs")
"""What a trial's attempt is."""
OURS |= {f"{verb} {plural}" for plural in OBJECTS for verb in ("create", "delete")}
WRITES = {"create", "update", "patch", "delete", "deletecollection"}

Object = dict[str, Any]


def history(events: Iterable[Object], *, namespace: str, lease: str | None = None) -> list[Fact]:
    """What happened in a namespace, in the order in which it took effect; with the name of the lease, who led."""
    writes = sorted((event for event in events if _is_write(event)), key=lambda event: event["stageTimestamp"])
    return list(_Reader(namespace, lease).read(_took_effect(writes)))


class _Reader:
    def __init__(self, namespace: str, lease: str | None) -> None:
        self.namespace = namespace
        self.lease = lease
        self.numbers: dict[str, int] = {}
        self.studies: dict[str, str] = {}
        """By trial."""
        self.jobs: dict[str, tuple[str, int, int]] = {}
        self.pods: Counter[str] = Counter()
        """Created for each Job."""
        self.ended: dict[str, set[str]] = {}
        """Pods of each Job that are done or gone."""
        self.specs: dict[str, Object] = {}

    def read(self, events: Iterable[Object]) -> Iterator[Fact]:
        for event in events:
            ref, at = event["objectRef"], _when(event)
            what = f"{event['verb']} {ref['resource']}" + (f"/{ref['subresource']}" if ref.get("subresource") else "")
            by, agent = event["user"]["username"], event.get("userAgent", "")
            if ref["resource"] == "leases" and ref.get("name", self.lease) == self.lease and what != "delete leases":
                holder = (event.get("requestObject") or {}).get("spec", {}).get("holderIdentity")
                if holder and agent.startswith(OPERATOR):
                    yield Leads(at, by)
            elif ref.get("namespace") == self.namespace:
                if agent.startswith(OPERATOR):
                    yield from self._operator(event, what, at, by)
                else:
                    yield from self._others(event, what, at)

    def _operator(self, event: Object, what: str, at: float, by: str) -> Iterator[Fact]:
        ref, body = event["objectRef"], event.get("requestObject") or {}
        if what not in OURS:
            yield Touched(at, by, f"{what} {ref.get('name')}")
        elif what == "create tuningtrials":
            spec = body["spec"]
            self.numbers[body["metadata"]["name"]] = spec["number"]
            self.studies[body["metadata"]["name"]] = spec["study"]
            role = spec.get("role", "Search")
            yield TrialCreated(at, by, spec["study"], spec["number"], role == "Search", role == "Final")
        elif what == "patch tuningtrials/status":
            status = body.get("status", {})
            study = self.studies[ref["name"]]
            yield TrialRecorded(
                at, by, study, self.numbers[ref["name"]], status.get("attempt", 0), status.get("result"),
                state=status.get("state", ""),
                rungs=tuple(status.get("rungs", ())),
                replicates=tuple(status.get("replicates", ())),
            )  # fmt: skip
        elif what == "patch tuningstudies/status":
            yield StatusWritten(at, by, ref["name"], (body.get("status", {}).get("best") or {}).get("number"))
        elif ref["resource"] in OBJECTS and event["verb"] == "create":
            run = _run(body)
            self.jobs[body["metadata"]["name"]] = run
            yield RunCreated(at, by, *run)
        elif ref["resource"] in OBJECTS and not self.pods[ref["name"]] and ref["name"] in self.jobs:
            yield RunGone(at, *self.jobs[ref["name"]])

    def _others(self, event: Object, what: str, at: float) -> Iterator[Fact]:
        ref, body, agent = event["objectRef"], event.get("requestObject") or {}, event.get("userAgent", "")
        if what in ("create tuningstudies", "patch tuningstudies", "update tuningstudies"):
            name = ref.get("name") or body["metadata"]["name"]
            yield self._spec(at, name, body.get("spec", {}))
        elif what == "delete tuningstudies":
            yield StudyDeleted(at, ref["name"])
        elif what == "delete tuningtrials" and ref.get("name") in self.numbers and "garbage" not in agent:
            yield TrialVanished(at, self.studies[ref["name"]], self.numbers[ref["name"]])
        elif what == "create pods":
            metadata = body.get("metadata", {})
            if "tuning.study/kind" in metadata.get("labels", {}):
                run = _run(body)
                self.pods[next((job for job, each in self.jobs.items() if each == run), "")] += 1
            else:
                self.pods.update(owner["name"] for owner in metadata.get("ownerReferences", []))
        elif what in ("patch pods/status", "delete pods") and self._ends(what, body, agent):
            job = self._job(ref["name"])
            if job is not None:
                ended = self.ended.setdefault(job, set())
                ended.add(ref["name"])
                if len(ended) >= self.pods[job]:
                    yield RunGone(at, *self.jobs[job])

    def _job(self, pod: str) -> str | None:
        """`JOB-RANDOM`, or `JOB-INDEX-RANDOM` where several train together; of other kinds anything may follow."""
        name = pod
        while name and name not in self.jobs:
            name = name.rpartition("-")[0]
        return name or None

    def _ends(self, what: str, body: Object, agent: str) -> bool:
        """The kubelet's last word: the status with which a pod ends, or the delete with which it is gone."""
        if what == "delete pods":
            return agent.startswith("fake-node")
        return agent.startswith("fake-node/ended")

    def _spec(self, at: float, name: str, change: Object) -> SpecSet:
        spec = _merged(self.specs.get(name, {}), change)
        self.specs[name] = spec
        return spec_set(at, name, spec)


def spec_set(at: float, study: str, spec: Object) -> SpecSet:
    """What a spec allows, and what its best is judged by."""
    objectives, limits = spec["objectives"], spec.get("limits", {})
    maximize = objectives[0]["goal"] == "Maximize"
    decided_later = len(objectives) > 1 or "confirm" in spec.get("final", {})
    metric = "" if decided_later else objectives[0]["metric"]
    parallel = limits.get("parallel", 1) + limits.get("queued", 0)
    return SpecSet(at, study, parallel, limits.get("trials"), metric, maximize)


def _run(body: Object) -> tuple[str, int, int]:
    labels = body["metadata"]["labels"]
    return labels["tuning.study/study"], int(labels["tuning.study/trial"]), int(labels["tuning.study/attempt"])


def _merged(base: Object, over: Object) -> Object:
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        result[key] = _merged(known, value) if isinstance(value, dict) and isinstance(known, dict) else value
    return result


def _is_write(event: Object) -> bool:
    return event["verb"] in WRITES and bool(event.get("objectRef")) and "dryRun" not in event["requestURI"]


def _took_effect(writes: Sequence[Object]) -> list[Object]:
    """Those that succeeded. Among them are creates whose client was killed before the answer: they are recorded as
    timed out (504), whether they came as far as etcd or not, which shows in what is written to the object afterwards.
    """
    created = {_key(event) for event in writes if _creates(event) and _succeeded(event)}
    written: set[tuple[str, ...]] = set()
    found: list[Object] = []
    for event in reversed(writes):
        key = _key(event)
        cut = _creates(event) and event["responseStatus"]["code"] == HTTPStatus.GATEWAY_TIMEOUT
        if _succeeded(event):
            found.append(event)
            written.add(key)
        elif cut and key in written and key not in created:
            found.append(event)
            created.add(key)
    return found[::-1]


def _creates(event: Object) -> bool:
    return event["verb"] == "create" and not event["objectRef"].get("subresource")


def _succeeded(event: Object) -> bool:
    return int(event["responseStatus"]["code"]) < HTTPStatus.MULTIPLE_CHOICES


def _key(event: Object) -> tuple[str, ...]:
    ref, body = event["objectRef"], event.get("requestObject") or {}
    name = ref.get("name") or body.get("metadata", {}).get("name", "")
    return ref["resource"], ref.get("namespace", ""), name


def _when(event: Object) -> float:
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()
