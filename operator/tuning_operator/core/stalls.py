"""Trials that cannot start: what is waited for, and what a person must repair.

A trial whose first start can never work stalls the study with the reason, instead of burning its budget on trials
that end alike. Nothing is remembered: the world repeats its complaint as long as it has one, so a stall ends by
itself when the problem does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuning_operator.api.study import StudySpec
from tuning_operator.core.lifecycle import failed_to_start
from tuning_operator.core.model import QUEUED, Run, RunState, StartProblem
from tuning_operator.core.view import Open

QUOTA_EXCEEDED: Final = "QuotaExceeded"
KIND_NOT_INSTALLED: Final = "KindNotInstalled"
HELD: Final = frozenset({"Unschedulable", QUEUED})
"""No node has room, or a queue (Kueue) holds the Job back."""
PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"})
"""Registries have bad moments: these get a minute."""
BROKEN: Final = frozenset(
    {
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
        "CrashLoopBackOff",
        "FailedCreate",
        "Forbidden",
        "Invalid",
    }
)
"""These are a matter of the template, or of what a namespace allows: half a minute, for what is created at the same
time (a Secret, a service account).
"""
PASSING: Final = frozenset(
    {
        QUOTA_EXCEEDED,
        "InternalError",
        "ServerTimeout",
        "Timeout",
        "TooManyRequests",
        "ServiceUnavailable",
        "Conflict",
        "AlreadyExists",
    }
)
"""Refusals that pass: waited for, never a stall."""
_PULL_GRACE: Final = 60.0
_BROKEN_GRACE: Final = 30.0
_OWN_FAULT_GRACE: Final = 300.0
"""After this, a trial that cannot start while others did has its own bound parameters to blame."""
_RETRY_FIRST: Final = 30.0
_RETRY_MAX: Final = 600.0
_RUNS_WELL: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a trial does not start."""

    reason: str
    message: str
    lasting: bool
    """A person must act; otherwise it is enough to wait."""


@dataclass(frozen=True, slots=True)
class Hindrances:
    """What hinders the study's trials now: the first one that stalls it, the first one that passes by itself."""

    stall: Hindrance | None = None
    waiting: Hindrance | None = None
    probe: int | None = None
    """The one trial that may try to start while nothing else may."""
    look_again_at: float | None = None

    @property
    def any(self) -> bool:
        return self.stall is not None or self.probe is not None


def hindrances(
    opens: Sequence[Open], invalid: Sequence[str], *, absence: str = "", proven: bool, now: float
) -> Hindrances:
    """`proven`: some trial came as far as to report something, so a command that does not begin is that trial's own
    failure.
    """
    stall = Hindrance("InvalidSpec", "; ".join(invalid)[:4000], lasting=True) if invalid else None
    if absence:
        stall = stall or Hindrance(KIND_NOT_INSTALLED, absence, lasting=True)
    waiting: Hindrance | None = None
    probe: int | None = None
    times: list[float] = []
    for each in opens:
        found, at = _of(each, proven=proven, now=now)
        if at is not None:
            times.append(at)
        if found is None:
            continue
        if found.lasting:
            stall = stall or found
        else:
            waiting = waiting or found
        if each.run is None and probe is None:
            probe = each.trial.number
    return Hindrances(stall, waiting, probe, min(times, default=None))


def stuck(why: str) -> Hindrance:
    """The search waits for results, and nothing is under way that could have one."""
    message = (
        f"the search waits ({why}), and no trial is under way that could end this; start the study anew with another "
        "scheduler or algorithm"
    )
    return Hindrance("SearchWaits", message, lasting=True)


def own_fault(each: Open, spec: StudySpec, *, proven: bool, now: float) -> Hindrance | None:
    """Why this one trial can never start although others did: parameters are bound to its Job, and they make it
    impossible.
    """
    if not (spec.trial.bind and proven):
        return None
    if each.problem is not None and each.problem.reason not in PASSING and now - each.problem.since >= _OWN_FAULT_GRACE:
        return Hindrance(each.problem.reason, each.problem.message, lasting=True)
    run = each.run
    if (
        run is not None
        and run.state is RunState.WAITING
        and run.reason in PULL | BROKEN
        and now - run.created_at >= _OWN_FAULT_GRACE
    ):
        return Hindrance(run.reason, run.message, lasting=True)
    return None


def start_at(each: Open) -> float:
    """The earliest time of the next attempt: at once after the first loss, then ever later."""
    if each.problem is not None and each.problem.tried_at is not None:
        tried = each.problem.tried_at
        return tried + min(60.0, max(1.0, tried - each.problem.since))
    before = each.earlier
    if before is None or before.state is not RunState.ENDED or before.ended_at is None:
        return 0.0
    if failed_to_start(before):
        return before.ended_at + min(_RETRY_MAX, _RETRY_FIRST * 2.0 ** min(before.attempt, 10))
    lost = each.trial.retries + each.trial.disruptions
    return before.ended_at + (0.0 if lost < 2 else min(60.0, 2.0 ** min(lost - 1, 10)))


def _of(each: Open, *, proven: bool, now: float) -> tuple[Hindrance | None, float | None]:
    if each.problem is not None:
        return _refused(each.problem), None
    if each.run is not None:
        found, at = _waiting(each.run, now=now)
        if found is not None or at is not None:
            return found, at
    return (None, None) if proven else _failed_before(each, now=now)


def _refused(problem: StartProblem) -> Hindrance:
    lasting = problem.reason not in PASSING
    return Hindrance(
        problem.reason, f"trial {problem.trial} cannot be started: {problem.message or problem.reason}", lasting
    )


def _waiting(run: Run, *, now: float) -> tuple[Hindrance | None, float | None]:
    if run.state is not RunState.WAITING:
        return None, None
    message = f"trial {run.trial} waits: {run.message or run.reason}"
    if run.reason in PASSING or run.reason in HELD:
        return Hindrance(run.reason, message, lasting=False), None
    if run.reason not in PULL and run.reason not in BROKEN:
        return None, None
    until = run.created_at + (_PULL_GRACE if run.reason in PULL else _BROKEN_GRACE)
    if now < until:
        return None, until
    return Hindrance(run.reason, f"trial {run.trial} cannot start: {run.message or run.reason}", lasting=True), None


def _failed_before(each: Open, *, now: float) -> tuple[Hindrance | None, float | None]:
    """The last attempt could not even begin, and the current one has not shown that it can."""
    before = each.run if each.ended else each.earlier
    if before is None or before.state is not RunState.ENDED or not failed_to_start(before):
        return None, None
    run = each.run
    if run is not None and run is not before and run.started_at is not None:
        if run.report is not None or now - run.started_at >= _RUNS_WELL:
            return None, None
        again = run.started_at + _RUNS_WELL
    else:
        again = None
    word = before.reason if before.reason not in ("", "Error") else "CommandFailed"
    said = before.message or f"exit code {before.exit_code}"
    what = f"trial {each.trial.number} cannot start: {said}. Repair its image or its command"
    return Hindrance(word, what, lasting=True), again
