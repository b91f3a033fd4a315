"""The words of the core: a snapshot of a study goes in, a plan comes out.

Plain frozen values; times are Unix seconds (float), durations seconds. Nothing here knows Kubernetes, processes,
files or the clock. The cluster, the local runner and the simulator all speak these words: `gather` makes a
`Snapshot`, `decide` makes a `Plan`, `act` applies its actions in order by idempotent writes.

What `gather` promises:

* Trials and runs are never older than the writer's own last write to them: in particular a run that was created, or was
  found to exist already, is seen from then on, until that very Job (its uid) is seen gone. Otherwise runs may be older
  than the world (a watch lags), but never go back in time while the process lives; after a start both are read from
  the API, not from a cache. (Without this, a Job that is gone before it was ever seen comes into being again under its
  name, the old one's end is taken for the new one's, and two attempts run at once.)
* A run is in the snapshot as long as any of its pods or processes exists, also when its Job is gone already. An ended
  run stays in it until its trial has a result, also if the trial is at a later attempt by now.

What `act` promises:

* `RecordAttempt` and `RecordResult` are written on condition that the trial is still as it was gathered (its resource
  version). A conflict ends the plan: gather and decide again.
* An action that fails ends the plan, with one exception: a `StartRun` that the world refuses (quota, admission, a
  missing service account) becomes a `StartProblem`, and the plan goes on. Actions of different trials may be in flight
  together, as long as trials are created in the order of their numbers and each trial's actions keep theirs.
* "It exists already" is success for `CreateTrial` and `StartRun` (if it is ours: the study's uid, number, attempt),
  "not found" is success for `StopRun`.
* The status is written after the actions, if it differs from the one that stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.search.types import Observation, Suggestion
from tuning_trial.report import Report


@dataclass(frozen=True, slots=True)
class Study:
    """The object a user wrote, and what must be remembered of it."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: StudySpec
    created_at: float
    deleting: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rung:
    """What a trial reached at a rung. Once recorded, only `promoted` may become true."""

    budget: int
    """Steps from the beginning."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Value of each objective, summarised as the study asks; finite ones only."""
    infeasible: bool = False
    """A value was not finite: it counts as the worst and is never promoted."""
    promoted: bool = False
    """It may train on from here: it was let run on, or its next attempt goes on."""


@dataclass(frozen=True, slots=True)
class Replicate:
    """One of the runs whose mean is the trial's value."""

    values: Mapping[str, float]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a trial ended; recorded once, never changed."""

    state: TrialState  # SUCCEEDED, FAILED or STOPPED
    reason: str
    message: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    """Standard error of each objective's mean, where there are replicates."""
    infeasible: bool = False
    step: int | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    last_scrape_age: float | None = None
    """Seconds from the last look at its values to its end, where it did not tell them itself: what came later was not
    seen."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the ledger, as recorded."""

    number: int
    role: Role
    suggestion: Suggestion
    created_at: float
    attempt: int = 0
    """Number of the attempt that is current, or is to be started."""
    retries: int = 0
    disruptions: int = 0
    accelerator_seconds: float = 0.0
    """Of all recorded (ended) attempts."""
    rungs: tuple[Rung, ...] = ()
    """What it reached so far, by budget; committed, so that schedulers may decide from it."""
    replicates: tuple[Replicate, ...] = ()
    """Runs that have ended well, of which the value will be the mean."""
    started_at: float | None = None
    ended_at: float | None = None
    result: Result | None = None
    recorded_state: TrialState = TrialState.PENDING
    """What the trial's status says now, so that an unchanged state is not written again."""


QUEUED: Final = "Queued"
"""Reason of a waiting run whose Job a queue (Kueue) holds back. With `ended_at` and `started_at` it has run before, in
the same attempt, and its place was taken back."""


OBJECT_FAILED: Final = "ObjectFailed"
"""Reason of an ended run whose object (of another kind than Job) says that it failed, without a pod that did."""


class RunState(StrEnum):
    """What is seen of one attempt's Job and pod, or process."""

    WAITING = "Waiting"  # created, nothing has started to run; `reason` says why if known
    RUNNING = "Running"
    STOPPING = "Stopping"  # deletion or SIGTERM asked for, not yet gone
    ENDED = "Ended"  # its processes are gone; exit code or reason known


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a trial as it is seen in the world. At most one per trial is live (P1)."""

    trial: int
    attempt: int
    state: RunState
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    reason: str = ""
    """Word of the world. Ended: `OOMKilled`, `DeadlineExceeded`, `Evicted`, `StartError` (the command could not be
    started; so are exit codes 126 and 127). Waiting: the container's own word (`ErrImagePull`, `ImagePullBackOff`,
    `InvalidImageName`, `CreateContainerConfigError`, `RunContainerError`, ...), why the Job has no pod
    (`QuotaExceeded`, `FailedCreate`), `Unschedulable`, `Queued`, or empty while it simply starts up
    (`ContainerCreating` and `PodInitializing` count as that).
    """
    message: str = ""
    disrupted: bool = False
    """Lost to preemption, eviction, node loss, or to a deletion or SIGTERM from outside the trial, whoever asked for
    it (also we: what we stop is recorded before we ask). An attempt, not a failure. Exit codes 42, 43 and 44 and
    `OOMKilled` count before it.
    """
    report: Report | None = None
    """Last report seen: live by scrape or file, final by the termination message."""
    reading: bool = False
    """It has ended, and its source of values (a log, a Prometheus server) is still to be asked for the last ones. It is
    judged when that is done, at the latest when `metrics.waitSeconds` are over."""
    unread: bool = False
    """It ended well, but its pod was removed before anybody read what it left: its result is lost, not missing."""
    looked_at: float | None = None
    """When its values were last seen by looking at it; None where it told them itself."""
    trouble: str = ""
    """Why the last look at its values brought none, for a person."""
    accelerators: int | None = None
    """How many it holds, where that is seen; None: as many as the study says."""
    lingers: bool = False
    """It has ended, as its object says, but not all of its pods have: it holds its slot until they are stopped."""

    @property
    def live(self) -> bool:
        """Whether it holds a slot."""
        return self.state is not RunState.ENDED or self.lingers

    @property
    def queued(self) -> bool:
        """Whether a queue holds its Job back."""
        return self.state is RunState.WAITING and self.reason == QUEUED


@dataclass(frozen=True, slots=True)
class StartProblem:
    """Why an attempt could not even be created (quota, denied template, forbidden service account).

    Given as long as the attempt has no run. Reasons that pass by themselves, and never stall a study:
    `QuotaExceeded`, `InternalError`, `ServerTimeout`, `Timeout`, `TooManyRequests`, `ServiceUnavailable`,
    `Conflict`, `AlreadyExists` (the old Job of that name is still being deleted). All others (`Forbidden`,
    `Invalid`, ...) stall it until they are gone.
    """

    trial: int
    attempt: int
    reason: str
    message: str
    since: float
    tried_at: float | None = None
    """When the start was last refused. With it, further tries come ever later (1 to 60 s); without it, each plan tries
    again.
    """


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `decide` may know of one study."""

    study: Study
    trials: tuple[Trial, ...] = ()
    """In order of number, without gaps."""
    runs: tuple[Run, ...] = ()
    """Of this study uid only; ended runs of trials that have a result may be left out."""
    suggestions: Mapping[int, Suggestion] = field(default_factory=dict)
    """Ready suggestions by trial number, for numbers that have no trial yet."""
    earlier: tuple[Observation, ...] = ()
    """Results of earlier studies (`spec.warmStart`); their numbers are negative, so that they are nobody else's."""
    learned: tuple[str, ...] = ()
    """What they are and which could not be used, in sentences for a person."""
    exhausted: bool = False
    """The search has no further point to suggest. Only asked for spaces that cannot be counted."""
    stuck: str | None = None
    """Why the search waits although nothing runs. Meant only where nothing does: it may be older than the trials."""
    invalid: tuple[str, ...] = ()
    """Semantic errors of the spec (`path: value: remedy`); not empty: nothing may start."""
    absence: str = ""
    """Why the kind of object that trials are cannot be made now; not empty: nothing may start, and a run that has lost
    its object is all that there is of it."""
    problems: tuple[StartProblem, ...] = ()
    previous_status: Mapping[str, object] = field(default_factory=dict)
    """The status as it stands: only the transition times of its conditions, and for events what changed, are read from
    it."""


# Actions, in the order in which a plan lists them.


@dataclass(frozen=True, slots=True)
class CreateTrial:
    number: int
    role: Role
    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class StartRun:
    trial: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopRun:
    """Ask a live attempt to end (SIGTERM, then gone); idempotent."""

    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class RecordAttempt:
    """Write what a trial's status says while it has no result: state, next attempt, spent seconds."""

    trial: int
    state: TrialState
    attempt: int
    retries: int
    disruptions: int
    accelerator_seconds: float
    started_at: float | None
    rungs: tuple[Rung, ...] = ()
    """All of the trial's; what stands already stands in them unchanged."""
    replicates: tuple[Replicate, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordResult:
    trial: int
    attempt: int
    result: Result
    retries: int
    disruptions: int
    accelerator_seconds: float
    started_at: float | None
    ended_at: float
    rungs: tuple[Rung, ...] = ()
    replicates: tuple[Replicate, ...] = ()


Action = CreateTrial | StartRun | StopRun | RecordAttempt | RecordResult


@dataclass(frozen=True, slots=True)
class Event:
    """A line for a person on the study (`events.k8s.io/v1`)."""

    type: str  # Normal or Warning
    reason: str
    note: str
    action: str = "Reconcile"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and what the status says."""

    actions: tuple[Action, ...]
    status: Mapping[str, object]
    """The whole status as JSON; a projection of the snapshot, so it may be written late or lost."""
    suggest: tuple[int, ...] = ()
    """Trial numbers whose suggestion should be made ready (again, when more results are known); the next one first."""
    requeue_after: float | None = None
    events: tuple[Event, ...] = ()
    finished: bool = False
    """Nothing will change any more unless the spec is edited."""
