"""The history checker: did a recorded run of the system keep the promises P1-P8 of the design?

A history is a list of facts in the order in which they took effect: writes (who wrote what) and observations (what
the world did by itself). The simulator writes it as it goes; a cluster test makes one from the API server's audit
log. The checker knows nothing of `decide`: it is a second, simpler opinion.

problems = check(history) assert not problems, "\\n".join(map(str, problems))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SpecSet:
    """A person created or edited the study; in force from now on."""

    at: float
    study: str
    parallel: int
    trials: int | None
    metric: str
    """Of the objective; empty where there are several, or further runs decide, or constraints at rungs: which trial is
    the best is then not for us to say (P4).
    """
    maximize: bool


@dataclass(frozen=True, slots=True)
class Leads:
    """`by` holds the lease from now on, until another one does or until `until`."""

    at: float
    by: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class TrialCreated:
    at: float
    by: str
    study: str
    trial: int
    search: bool = True
    final: bool = False
    """The final run, of which there is one. What is neither is a further run of one of the best."""


@dataclass(frozen=True, slots=True)
class TrialRecorded:
    """A trial's status was written."""

    at: float
    by: str
    study: str
    trial: int
    attempt: int
    result: Mapping[str, Any] | None = None
    """As in `TrialResult`: state, values, infeasible, ..."""
    state: str = ""
    rungs: tuple[Mapping[str, Any], ...] = ()
    """As in `RungRecord`: budget, values, infeasible, promoted."""
    replicates: tuple[Mapping[str, Any], ...] = ()
    """As in `ReplicateRecord`: values, metrics."""


@dataclass(frozen=True, slots=True)
class TrialVanished:
    """A trial object was deleted, other than with its study."""

    at: float
    study: str
    trial: int
    by_hand: bool = False
    """A person did it; the trial is as if it had never been."""


@dataclass(frozen=True, slots=True)
class RunCreated:
    """The Job of an attempt was created."""

    at: float
    by: str
    study: str
    trial: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RunGone:
    """The attempt's processes are gone: its pod ended or was removed."""

    at: float
    study: str
    trial: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StatusWritten:
    at: float
    by: str
    study: str
    best: int | None
    """Number of the trial in `status.best`."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A write to something that is not ours: the user's spec, another's object."""

    at: float
    by: str
    what: str


@dataclass(frozen=True, slots=True)
class StudyDeleted:
    at: float
    study: str


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a deleted study when garbage collection had its time."""

    at: float
    study: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rests:
    """The recording ends and everything is quiet; `finished`: the study came to an end of its own."""

    at: float
    study: str
    finished: bool


Fact = (
    SpecSet
    | Leads
    | TrialCreated
    | TrialRecorded
    | TrialVanished
    | RunCreated
    | RunGone
    | StatusWritten
    | Touched
    | StudyDeleted
    | Remains
    | Rests
)


@dataclass(frozen=True, slots=True)
class Broken:
    promise: str
    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.promise} at {self.at:.3f}: {self.what}"


@dataclass(slots=True)
class _Study:
    specs: list[SpecSet] = field(default_factory=list)
    created: dict[int, bool] = field(default_factory=dict)
    finals: int = 0
    results: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    rungs: dict[int, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    replicates: dict[int, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    live: set[tuple[int, int]] = field(default_factory=set)
    status_best: int | None = None
    deleted: bool = False
    tampered: dict[int, float] = field(default_factory=dict)
    """When a person last deleted that trial."""

    def most(self, at: float, lag: float, name: str) -> float:
        """The most generous limit in force since `at - lag`: a plan may be carried out a moment after an edit."""
        in_force = [spec for spec in self.specs if spec.at >= at - lag]
        before = [spec for spec in self.specs if spec.at < at - lag]
        values = [getattr(spec, name) for spec in before[-1:] + in_force]
        return max((float("inf") if value is None else value for value in values), default=float("inf"))

    @property
    def judged(self) -> bool:
        return bool(self.specs and self.specs[-1].metric)

    def best(self) -> int | None:
        """The ledger's best trial, by the plainest reading of the design."""
        spec = self.specs[-1]
        sign = -1.0 if spec.maximize else 1.0
        usable = [
            (sign * result["values"][spec.metric], number)
            for number, result in self.results.items()
            if result["state"] == "Succeeded"
            and not result.get("infeasible")
            and self.created.get(number, True)
            and spec.metric in result.get("values", {})
        ]
        if not usable:
            usable = self._furthest(spec.metric, sign)
        return min(usable)[1] if usable else None

    def _furthest(self, metric: str, sign: float) -> list[tuple[float, int]]:
        """As long as no trial came to its end: those that stand at the highest rung."""
        last = {
            number: rungs[-1]
            for number, rungs in self.rungs.items()
            if rungs and not rungs[-1]["infeasible"] and self._counts(number)
        }
        highest = max((rung["budget"] for rung in last.values()), default=0)
        return [(sign * rung["values"][metric], n) for n, rung in last.items() if rung["budget"] == highest]

    def _counts(self, number: int) -> bool:
        result = self.results.get(number)
        return result is None or (result["state"] == "Stopped" and not result.get("infeasible"))


class _Checker:
    def __init__(self, edit_lag: float) -> None:
        self.edit_lag = edit_lag
        self.studies: dict[str, _Study] = {}
        self.leader: Leads | None = None
        self.broken: list[Broken] = []

    def study(self, uid: str) -> _Study:
        return self.studies.setdefault(uid, _Study())

    def fail(self, promise: str, at: float, what: str) -> None:
        self.broken.append(Broken(promise, at, what))

    def wrote(self, at: float, by: str, what: str) -> None:
        leader = self.leader
        if leader is None:
            return
        if leader.by != by:
            self.fail("P5", at, f"{by} wrote {what}, but {leader.by} holds the lease")
        elif leader.until is not None and at > leader.until:
            self.fail("P5", at, f"{by} wrote {what} {at - leader.until:.3f} s after its lease ran out")

    def see(self, fact: Fact) -> None:
        match fact:
            case SpecSet():
                self.study(fact.study).specs.append(fact)
            case Leads():
                self.leader = fact
            case TrialCreated():
                self.trial_created(fact)
            case TrialRecorded():
                self.trial_recorded(fact)
            case TrialVanished():
                self.trial_vanished(fact)
            case RunCreated():
                self.run_created(fact)
            case RunGone():
                self.study(fact.study).live.discard((fact.trial, fact.attempt))
            case StatusWritten():
                self.status_written(fact)
            case Touched():
                self.wrote(fact.at, fact.by, fact.what)
                self.fail("P8", fact.at, f"{fact.by} wrote {fact.what}, which is not ours")
            case StudyDeleted():
                self.study(fact.study).deleted = True
            case Remains():
                if fact.objects:
                    self.fail("P6", fact.at, f"left of the deleted study: {', '.join(fact.objects)}")
            case Rests():
                self.rests(fact)

    def trial_created(self, fact: TrialCreated) -> None:
        study = self.study(fact.study)
        self.wrote(fact.at, fact.by, f"trial {fact.trial}")
        if fact.trial in study.created:
            self.fail("P7", fact.at, f"trial {fact.trial} was created twice")
        study.created[fact.trial] = fact.search
        total = sum(study.created.values())
        limit = study.most(fact.at, self.edit_lag, "trials")
        if fact.search and total > limit:
            self.fail("P2", fact.at, f"trial {fact.trial} is number {total} of {limit:g}")
        study.finals += fact.final
        if fact.final and study.finals > 1:
            self.fail("P2", fact.at, f"trial {fact.trial} is a second final run")

    def trial_vanished(self, fact: TrialVanished) -> None:
        study = self.study(fact.study)
        if not fact.by_hand:
            if not study.deleted:
                self.fail("P3", fact.at, f"trial {fact.trial} disappeared")
            return
        study.tampered[fact.trial] = fact.at
        for known in (study.created, study.results, study.attempts, study.states, study.rungs, study.replicates):
            known.pop(fact.trial, None)

    def trial_recorded(self, fact: TrialRecorded) -> None:
        study = self.study(fact.study)
        self.wrote(fact.at, fact.by, f"the status of trial {fact.trial}")
        if fact.trial not in study.created:
            self.fail("P7", fact.at, f"trial {fact.trial} got a status before it was created")
        known = study.results.get(fact.trial)
        if known is not None and fact.result != known:
            self.fail("P3", fact.at, f"the result of trial {fact.trial} was {known} and became {fact.result}")
        if fact.attempt < study.attempts.get(fact.trial, 0):
            self.fail("P3", fact.at, f"trial {fact.trial} went back to attempt {fact.attempt}")
        self.climbed(study, fact)
        study.states[fact.trial] = fact.state
        study.attempts[fact.trial] = max(fact.attempt, study.attempts.get(fact.trial, 0))
        if fact.result is not None:
            study.results[fact.trial] = fact.result

    def climbed(self, study: _Study, fact: TrialRecorded) -> None:
        known = study.rungs.get(fact.trial, ())
        if [_plain(rung) for rung in fact.rungs[: len(known)]] != [_plain(rung) for rung in known]:
            self.fail("P3", fact.at, f"the rungs of trial {fact.trial} were {known} and became {fact.rungs}")
        if any(before["promoted"] and not now["promoted"] for before, now in zip(known, fact.rungs, strict=False)):
            self.fail("P3", fact.at, f"a promotion of trial {fact.trial} was taken back: {fact.rungs}")
        if any(low["budget"] >= high["budget"] for low, high in zip(fact.rungs, fact.rungs[1:], strict=False)):
            self.fail("P3", fact.at, f"the rungs of trial {fact.trial} do not rise: {fact.rungs}")
        if any(not rung["promoted"] for rung in fact.rungs[:-1]):
            self.fail("P3", fact.at, f"trial {fact.trial} passed a rung without being promoted: {fact.rungs}")
        study.rungs[fact.trial] = fact.rungs
        runs = study.replicates.get(fact.trial, ())
        if fact.replicates[: len(runs)] != runs:
            self.fail("P3", fact.at, f"the replicates of trial {fact.trial} were {runs} and became {fact.replicates}")
        study.replicates[fact.trial] = fact.replicates

    def run_created(self, fact: RunCreated) -> None:
        study = self.study(fact.study)
        self.wrote(fact.at, fact.by, f"the Job of trial {fact.trial}, attempt {fact.attempt}")
        if study.deleted:
            return  # P6 looks at what is left
        if fact.trial not in study.created and not self.just_tampered(study, fact.at, fact.trial):
            self.fail("P7", fact.at, f"a Job for trial {fact.trial}, which does not exist")
        if fact.trial in study.results:
            self.fail("P1", fact.at, f"a Job for trial {fact.trial}, which has its result")
        if study.states.get(fact.trial) == "Paused":
            self.fail("P2", fact.at, f"a Job for trial {fact.trial}, which is paused")
        others = [attempt for trial, attempt in study.live if trial == fact.trial]
        if others:
            self.fail("P1", fact.at, f"trial {fact.trial} runs as attempts {sorted([*others, fact.attempt])} at once")
        study.live.add((fact.trial, fact.attempt))
        limit = study.most(fact.at, self.edit_lag, "parallel")
        if len(study.live) > limit:
            self.fail("P2", fact.at, f"{len(study.live)} runs at once, {limit:g} allowed: {sorted(study.live)}")

    def status_written(self, fact: StatusWritten) -> None:
        study = self.study(fact.study)
        self.wrote(fact.at, fact.by, "the study's status")
        study.status_best = fact.best
        if study.judged and fact.best != study.best() and not self.just_tampered(study, fact.at, *study.tampered):
            self.fail(
                "P4", fact.at, f"status.best is trial {fact.best}, the best of the ledger is trial {study.best()}"
            )

    def just_tampered(self, study: _Study, at: float, *trials: int) -> bool:
        """What was decided before a person deleted the trial may be carried out a moment after it."""
        return any(at - study.tampered.get(trial, float("-inf")) < self.edit_lag for trial in trials)

    def rests(self, fact: Rests) -> None:
        study = self.study(fact.study)
        if study.deleted:
            return
        if not fact.finished:
            self.fail("P7", fact.at, "the study never came to its end")
        if study.live:
            self.fail("P7", fact.at, f"still running at the end: {sorted(study.live)}")
        without = sorted(study.created.keys() - study.results.keys())
        if fact.finished and without:
            self.fail("P7", fact.at, f"trials without a result at the end: {without}")
        if study.judged and study.status_best != study.best():
            self.fail("P4", fact.at, f"at the end status.best is trial {study.status_best}, not {study.best()}")


def _plain(rung: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rung.items() if name != "promoted"}


def check(history: Iterable[Fact], *, edit_lag: float = 5.0) -> list[Broken]:
    """Every promise that this history breaks. `edit_lag`: how long after an edit of the limits a plan made before it
    may still be carried out.
    """
    checker = _Checker(edit_lag)
    for fact in history:
        checker.see(fact)
    return checker.broken
