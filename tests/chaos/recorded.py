"""From the record of etcd, with the audit log's word on who wrote what, to the facts that the history checker reads.

etcd knows every write and its order, but not its author; the audit log knows the author of all but those writes at
which an API server was killed. Those are taken for the leader's: that nobody else writes is judged by the others. A
study is known by its uid, so that one that is made again under its name is another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from tests.audit_history import OURS, WRITES, spec_set
from tests.chaos.record import Object, Revision
from tests.history import (
    Fact,
    Leads,
    RunCreated,
    RunGone,
    StatusWritten,
    StudyDeleted,
    Touched,
    TrialCreated,
    TrialRecorded,
    TrialVanished,
)

STUDY, UID = "tuning.study/study", "tuning.study/study-uid"
TRIAL, ATTEMPT = "tuning.study/trial", "tuning.study/attempt"
Run = tuple[str, int, int]


@dataclass
class Authors:
    """What the audit log knows."""

    operators: Collection[str]
    writers: dict[int, str] = field(default_factory=dict)
    """By the number of the write."""
    deleters: dict[str, str] = field(default_factory=dict)
    """By the uid of what was deleted."""
    touched: list[Touched] = field(default_factory=list)
    """Writes of operators to what is not theirs."""
    requests: int = 0

    @staticmethod
    def read(events: Iterable[Object], *, operators: Collection[str]) -> Authors:
        authors = Authors(operators)
        for event in events:
            reference, answer = event.get("objectRef"), event.get("responseObject") or {}
            if event["verb"] not in WRITES or not reference or event["responseStatus"]["code"] >= 300:
                continue
            if "dryRun" not in event["requestURI"]:
                authors._take(event, reference, answer)
        return authors

    def _take(self, event: Object, reference: Object, answer: Object) -> None:
        user, verb = _author(event["user"]), event["verb"]
        number = (answer.get("metadata") or {}).get("resourceVersion")
        if number:
            self.writers.setdefault(int(number), user)
        uid = (answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid")
        if verb == "delete" and uid:
            self.deleters[uid] = user
        if user in self.operators:
            self.requests += 1
            subresource = reference.get("subresource")
            what = f"{verb} {reference['resource']}" + (f"/{subresource}" if subresource else "")
            if what not in OURS:
                self.touched.append(Touched(0.0, user, f"{what} {reference.get('name')}"))


class Reader:
    """One pass over the record."""

    def __init__(self, authors: Authors, *, lease: str) -> None:
        self._authors = authors
        self._lease = lease
        self._leader = ""
        self._now: dict[tuple[str, str, str], Object] = {}
        self._pods: dict[str, set[str]] = defaultdict(set)
        """By the uid of their Job, all that there ever were."""
        self._ended: dict[str, set[str]] = defaultdict(set)
        self._runs: dict[str, Run] = {}
        """By the uid of the Job."""

    def read(self, revisions: Iterable[Revision]) -> Iterator[Fact]:
        for revision in revisions:
            key = revision.kind, revision.namespace, revision.name
            before = self._now.pop(key, None)
            if revision.value is not None:
                self._now[key] = revision.value
            match revision.kind:
                case "tuningstudies":
                    yield from self._study(revision, before)
                case "tuningtrials":
                    yield from self._trial(revision, before)
                case "jobs":
                    yield from self._job(revision, before)
                case "pods":
                    yield from self._pod(revision, before)
                case "leases" if revision.name == self._lease and revision.value is not None:
                    holder = revision.value["spec"].get("holderIdentity") or ""
                    if holder:
                        self._leader = holder.rpartition("_")[0]
                        yield Leads(revision.at, self._leader)

    def _by(self, revision: Revision) -> str:
        return self._authors.writers.get(revision.number, self._leader)

    def _study(self, revision: Revision, before: Object | None) -> Iterator[Fact]:
        at, value = revision.at, revision.value
        if value is None or value["metadata"].get("deletionTimestamp"):
            gone = value or before
            if gone is not None:
                yield StudyDeleted(at, gone["metadata"]["uid"])
            return
        uid = value["metadata"]["uid"]
        before = before or {}
        if value["spec"] != before.get("spec"):
            yield spec_set(at, uid, value["spec"])
        by = self._by(revision)
        if value.get("status") != before.get("status") and by in self._authors.operators:
            yield StatusWritten(at, by, uid, (value.get("status", {}).get("best") or {}).get("number"))

    def _trial(self, revision: Revision, before: Object | None) -> Iterator[Fact]:
        at, value = revision.at, revision.value
        if value is None:
            if before is not None:
                person = self._authors.deleters.get(before["metadata"]["uid"]) == "admin"
                yield TrialVanished(at, before["metadata"]["labels"][UID], before["spec"]["number"], person)
            return
        uid, spec = value["metadata"]["labels"][UID], value["spec"]
        by = self._by(revision)
        if revision.created:
            role = spec.get("role", "Search")
            yield TrialCreated(at, by, uid, spec["number"], role == "Search", role == "Final")
        status = value.get("status") or {}
        if status and status != (before or {}).get("status"):
            yield TrialRecorded(
                at, by, uid, spec["number"], status.get("attempt", 0), status.get("result"),
                state=status.get("state", ""),
                rungs=tuple(status.get("rungs", ())),
                replicates=tuple(status.get("replicates", ())),
            )  # fmt: skip

    def _job(self, revision: Revision, before: Object | None) -> Iterator[Fact]:
        value = revision.value
        if revision.created and value is not None and UID in value["metadata"].get("labels", {}):
            labels = value["metadata"]["labels"]
            run = labels[UID], int(labels[TRIAL]), int(labels[ATTEMPT])
            self._runs[value["metadata"]["uid"]] = run
            yield RunCreated(revision.at, self._by(revision), *run)
        elif value is None and before is not None:
            uid = before["metadata"]["uid"]
            if uid in self._runs and not self._pods[uid]:
                yield RunGone(revision.at, *self._runs[uid])

    def _pod(self, revision: Revision, before: Object | None) -> Iterator[Fact]:
        pod = revision.value or before
        owners = pod["metadata"].get("ownerReferences") if pod is not None else None
        if pod is None or not owners or owners[0]["uid"] not in self._runs:
            return
        job, uid = owners[0]["uid"], pod["metadata"]["uid"]
        self._pods[job].add(uid)
        over = revision.value is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if over and uid not in self._ended[job]:
            self._ended[job].add(uid)
            if self._ended[job] >= self._pods[job]:
                yield RunGone(revision.at, *self._runs[job])


def _author(user: Object) -> str:
    """Pods that share an account are told apart by what their tokens are bound to."""
    pods = (user.get("extra") or {}).get("authentication.kubernetes.io/pod-name")
    return str(pods[0] if pods else user["username"])
