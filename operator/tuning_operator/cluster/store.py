"""What is known of every study: fed by the watch, by lists, and by the answers to our own writes.

So a reconcile reads its own writes, whatever the watch does. An object never goes back to an older version (resource
versions are comparable numbers). What cannot matter any more is dropped: ended Jobs and pods of recorded trials. No
I/O, one thread.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tuning_operator.api.trial import TrialState
from tuning_operator.cluster.client import PODS, TRIALS, Kind
from tuning_operator.cluster.foreign import Reading, judged
from tuning_operator.cluster.seen import Identity, JobSeen, PodSeen, Seen, StudySeen, TrialSeen
from tuning_operator.core.model import StartProblem, Study
from tuning_trial.report import Report

Key = tuple[str, str]
"""Namespace and name of a study."""
Attempt = tuple[int, int]
"""Number of a trial and of its attempt."""

GONE: Final = 10_000
"""So many of those that are gone are remembered, the last ones: late news of them comes within seconds."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at an attempt's values."""

    report: Report | None = None
    at: float | None = None
    """When the values held that were seen last, where some may have been missed since."""
    trouble: str = ""
    """Why the last look brought none."""
    complete: bool = False
    """It has ended, and nothing more will come."""


@dataclass(slots=True)
class Known:
    """One study and all that belongs to it."""

    seen: StudySeen
    study: Study | None = None
    """The spec, read; None if that is not possible (`invalid` says why)."""
    invalid: tuple[str, ...] = ()
    trials: dict[int, TrialSeen] = field(default_factory=dict)
    jobs: dict[str, JobSeen] = field(default_factory=dict)
    pods: dict[str, PodSeen] = field(default_factory=dict)
    """By uid; a pod that is gone stays, with its last words, until its trial is recorded."""
    looked: dict[Attempt, Looked] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By Job uid: why its pod could not be created, as reason and message."""
    problems: dict[int, StartProblem] = field(default_factory=dict)
    listed_at: float | None = None
    """Monotonic time of the last complete list of trials, Jobs and pods."""
    reading: Reading | None = None
    """How its objects are read, where they are no Jobs; None also as long as the spec has not been read."""
    named: bool = False
    """The Service by which pods of one trial find each other is there."""
    extra: Any = None
    """What the worker remembers of this study; gone with it."""

    @property
    def key(self) -> Key:
        return self.seen.identity.namespace, self.seen.identity.name

    @property
    def uid(self) -> str:
        return self.seen.identity.uid

    def read_by(self, reading: Reading | None) -> None:
        """The spec has been read: whether its objects have ended is said anew."""
        self.reading = reading
        self.jobs = {name: judged(job, reading) for name, job in self.jobs.items()}
        for number in {job.trial for job in self.jobs.values() if job.ended and self.recorded(job.trial)}:
            _trim(self, number)

    def reports(self, pod: PodSeen) -> bool:
        """Whether it is the pod, of those that train together, that has the values."""
        if pod.foreign:
            return self.reading is not None and self.reading.leads(pod)
        return pod.index == 0

    def recorded(self, number: int) -> bool:
        trial = self.trials.get(number)
        return trial is not None and trial.trial.result is not None


class Store:
    def __init__(
        self,
        *,
        on_forget: Callable[[Known], None] = lambda known: None,
        serves: Callable[[str], bool] = lambda namespace: True,
    ) -> None:
        """`on_forget(known)` is called for each study that is no more. Studies of namespaces that are not served, and
        what belongs to them, are not taken in."""
        self._on_forget = on_forget
        self._serves = serves
        self.studies: dict[Key, Known] = {}
        self._by_uid: dict[str, Key] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        """By uid of what was removed, the version up to which any news of it is late."""

    def get(self, key: Key) -> Known | None:
        return self.studies.get(key)

    def key_of(self, uid: str) -> Key | None:
        return self._by_uid.get(uid)

    def of(self, seen: Seen) -> Known | None:
        """The study that an object belongs to, if it is known."""
        if isinstance(seen, StudySeen):
            return self.studies.get((seen.identity.namespace, seen.identity.name))
        key = self._by_uid.get(seen.identity.study_uid)
        return None if key is None or key[0] != seen.identity.namespace else self.studies[key]

    def put(self, seen: Seen) -> Key | None:
        """Take in a state of an object; the key of its study if that is news."""
        if isinstance(seen, StudySeen):
            return self._put_study(seen)
        known = self.of(seen)
        if known is None or seen.identity.version <= self._gone.get(seen.identity.uid, -1) or not _put(known, seen):
            return None
        return known.key

    def remove(self, seen: Seen, *, at: float) -> Key | None:
        """Take in that an object is no more, and its last state; the key of its study if that is news."""
        known = self.of(seen)
        if known is None:
            return None
        if isinstance(seen, StudySeen):
            if known.uid == seen.identity.uid:
                self.forget(known.key)
            return known.key
        self._bury(seen.identity.uid, seen.identity.version)
        return known.key if _remove(known, seen, at=at) else None

    def forget(self, key: Key) -> None:
        known = self.studies.pop(key, None)
        if known is not None:
            self._by_uid.pop(known.uid, None)
            self._on_forget(known)

    def settle(
        self,
        known: Known,
        found: Collection[str],
        *,
        kind: Kind,
        numbers: frozenset[int] | None,
        version: int,
        at: float,
    ) -> bool:
        """After a list (of these trials only) that held these uids: what was known, is not one of them and is not newer
        than the list, is no more."""
        belongings: list[TrialSeen | JobSeen | PodSeen] = [
            *known.trials.values(), *known.jobs.values(), *known.pods.values()
        ]  # fmt: skip
        missing = [
            seen
            for seen in belongings
            if _kind(seen) == kind
            and (numbers is None or _number(seen) in numbers)
            and seen.identity.uid not in found
            and seen.identity.version <= version
        ]
        for seen in missing:
            self._bury(seen.identity.uid, version)
        return sum(_remove(known, seen, at=at) for seen in missing) > 0

    def _bury(self, uid: str, version: int) -> None:
        """An answer or a list that was under way when the object went must not bring it back."""
        self._gone[uid] = max(version, self._gone.pop(uid, -1))
        if len(self._gone) > GONE:
            self._gone.popitem(last=False)

    def _put_study(self, seen: StudySeen) -> Key | None:
        key = seen.identity.namespace, seen.identity.name
        if not self._serves(key[0]):
            return None
        known = self.studies.get(key)
        if known is None or known.uid != seen.identity.uid:
            if known is not None and known.seen.identity.version > seen.identity.version:
                return None  # late news of the study that had this name before
            self.forget(key)
            self.studies[key] = Known(seen)
            self._by_uid[seen.identity.uid] = key
            return key
        if seen.identity.version <= known.seen.identity.version:
            return None
        before, known.seen = known.seen, seen
        return key if _differs(before, seen) else None


def _put(known: Known, seen: TrialSeen | JobSeen | PodSeen) -> bool:
    if isinstance(seen, TrialSeen):
        if seen.identity.owner_uid != known.uid:
            return False
        known_trial = known.trials.get(seen.trial.number)
        if _older(seen.identity, known_trial):
            return False
        known.trials[seen.trial.number] = seen
        if seen.trial.recorded_state is TrialState.QUEUED:
            _forget_residence(known, seen.trial.number)
        if seen.trial.result is not None:
            _trim(known, seen.trial.number)
        return known_trial is None or _differs(known_trial, seen)
    if isinstance(seen, JobSeen):
        seen = judged(seen, known.reading)
    group: dict[str, Any] = known.jobs if isinstance(seen, JobSeen) else known.pods
    name = seen.identity.name if isinstance(seen, JobSeen) else seen.identity.uid
    before: JobSeen | PodSeen | None = group.get(name)
    if _older(seen.identity, before):
        return False
    group[name] = seen
    if known.recorded(seen.trial) and seen.ended:
        # Not news but for a slot that it held until now: a Job's end only follows its pod's.
        held = before is not None and not before.ended and (isinstance(seen, PodSeen) or not _has_pod(known, seen))
        _trim(known, seen.trial)
        return held
    if before is None:
        return isinstance(seen, JobSeen) or seen.running or seen.ended or bool(seen.reason)
    return _differs(before, seen)


def _remove(known: Known, seen: TrialSeen | JobSeen | PodSeen, *, at: float) -> bool:
    if isinstance(seen, TrialSeen):
        before = known.trials.get(seen.trial.number)
        if before is None or before.identity.uid != seen.identity.uid:
            return False
        del known.trials[seen.trial.number]
        if known.listed_at is not None:
            # Perhaps the study goes, and its trials go first: that is read before one is made again.
            known.listed_at = float("-inf")
        return True
    if isinstance(seen, JobSeen):
        job = known.jobs.get(seen.identity.name)
        if job is None or job.identity.uid != seen.identity.uid:
            return False
        del known.jobs[seen.identity.name]
        known.refused.pop(seen.identity.uid, None)
    else:
        pod = known.pods.get(seen.identity.uid)
        if pod is None or pod.gone:
            return False
        # The last words of a pod whose end nobody has recorded yet are still needed.
        last = seen if seen.identity.version >= pod.identity.version else pod
        known.pods[seen.identity.uid] = replace(last, gone=True, running=False, ended_at=last.ended_at or at)
    if known.recorded(seen.trial):
        _trim(known, seen.trial)
    return True


def _trim(known: Known, number: int) -> None:
    """Drop what is left of a recorded trial's attempts where nothing lives any more."""
    jobs = {job.attempt: job for job in known.jobs.values() if job.trial == number}
    pods = [pod for pod in known.pods.values() if pod.trial == number]
    over = {pod.attempt for pod in pods} | set(jobs)
    over -= {pod.attempt for pod in pods if not (pod.ended or pod.gone)}
    over -= {attempt for attempt, job in jobs.items() if not job.ended}
    for pod in pods:
        if pod.attempt in over:
            del known.pods[pod.identity.uid]
    for attempt in over & set(jobs):
        del known.jobs[jobs[attempt].identity.name]
    for attempt in over:
        known.looked.pop((number, attempt), None)
    known.problems.pop(number, None)


def _forget_residence(known: Known, number: int) -> None:
    """A queue took the place back, and what came of it is recorded: the pod that comes next begins anew."""
    for pod in [pod for pod in known.pods.values() if pod.trial == number and pod.gone]:
        del known.pods[pod.identity.uid]
    for attempt in [attempt for attempt in known.looked if attempt[0] == number]:
        known.looked[attempt] = replace(known.looked[attempt], complete=False)


def _has_pod(known: Known, job: JobSeen) -> bool:
    return any((pod.trial, pod.attempt) == (job.trial, job.attempt) for pod in known.pods.values())


def _older(identity: Identity, before: Seen | None) -> bool:
    return before is not None and identity.version <= before.identity.version


def _differs(before: Seen, after: Seen) -> bool:
    """Whether more than the version has changed."""
    return replace(before, identity=after.identity) != after or before.identity.uid != after.identity.uid


def _kind(seen: TrialSeen | JobSeen | PodSeen) -> Kind:
    return TRIALS if isinstance(seen, TrialSeen) else PODS if isinstance(seen, PodSeen) else seen.kind


def _number(seen: TrialSeen | JobSeen | PodSeen) -> int:
    return seen.trial.number if isinstance(seen, TrialSeen) else seen.trial
