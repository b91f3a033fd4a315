"""From what is known of a study to the snapshot that is decided on. Pure.

A trial's end is seen on its pod, not on the Job, which the Job controller closes up to a second later. A Job speaks
only where no pod does: before there is one, when none could be created, and when it is gone without last words.
"""

from collections.abc import Mapping
from dataclasses import replace

from tuning_operator.api.trial import Role
from tuning_operator.cluster.seen import JobSeen, PodSeen
from tuning_operator.cluster.store import Attempt, Known
from tuning_operator.core.model import Run, RunState, Snapshot, Study, Trial
from tuning_operator.search.types import Suggestion
from tuning_operator.search.warmstart import Learned
from tuning_trial.report import Report

SUSPENDED = "Queued"
"""Reason of a Job that somebody else (Kueue) holds back."""


def gather(
    known: Known,
    study: Study,
    *,
    suggestions: Mapping[int, Suggestion],
    exhausted: bool,
    stuck: str | None,
    learned: Learned,
    invalid: tuple[str, ...] = (),
) -> Snapshot:
    trials = ledger(known, suggestions)
    return Snapshot(
        study=study,
        trials=trials,
        runs=tuple(sorted(runs_of(known).values(), key=lambda run: (run.trial, run.attempt))),
        suggestions={number: made for number, made in suggestions.items() if number >= len(trials)},
        earlier=learned.observations,
        learned=learned.notes,
        exhausted=exhausted,
        stuck=stuck,
        invalid=known.invalid + invalid + _refused_trials(known),
        problems=tuple(known.problems.values()),
        previous_status=known.seen.status,
    )


def holes(known: Known) -> list[int]:
    """Numbers below the last trial's that have no trial: creates run side by side, and a crash may leave a gap."""
    return [number for number in range(max(known.trials, default=-1)) if number not in known.trials]


def ledger(known: Known, suggestions: Mapping[int, Suggestion]) -> tuple[Trial, ...]:
    """The trials in order. A hole stands as a trial that was decided on and is still to be created.

    Where its suggestion is not ready, the caller must wait: a ledger with a gap would be numbered anew.
    """
    return tuple(
        known.trials[number].trial if number in known.trials else _to_be_created(number, suggestions[number])
        for number in range(max(known.trials, default=-1) + 1)
    )


def runs_of(known: Known) -> dict[Attempt, Run]:
    """Every attempt of which something is seen."""
    jobs = {(job.trial, job.attempt): job for job in known.jobs.values() if _ours(known, job)}
    pods: dict[Attempt, PodSeen] = {}
    for pod in known.pods.values():
        attempt = pod.trial, pod.attempt
        job = jobs.get(attempt)
        if job is not None and pod.identity.owner_uid != job.identity.uid:
            continue  # of a Job that had this name before
        if attempt not in pods or _rank(pod) > _rank(pods[attempt]):
            pods[attempt] = pod
    runs = {}
    for attempt in jobs.keys() | pods.keys():
        job, found = jobs.get(attempt), pods.get(attempt)
        run = _of_pod(found, job) if found is not None else _of_job(jobs[attempt], known.refused)
        runs[attempt] = _with_scraped(run, known.scraped.get(attempt))
    return runs


def _with_scraped(run: Run, scraped: Report | None) -> Run:
    """What was scraped counts where there are no last words, and for rungs that these leave out."""
    if scraped is None:
        return run
    if run.report is None:
        return replace(run, report=scraped)
    if scraped.rungs.keys() <= run.report.rungs.keys():
        return run
    return replace(run, report=replace(run.report, rungs={**scraped.rungs, **run.report.rungs}))


def _ours(known: Known, job: JobSeen) -> bool:
    trial = known.trials.get(job.trial)
    return trial is not None and job.identity.owner_uid == trial.identity.uid


def _rank(pod: PodSeen) -> tuple[bool, float]:
    return not pod.gone, pod.created_at


def _of_pod(pod: PodSeen, job: JobSeen | None) -> Run:
    stopping = pod.deleting or (job is not None and job.deleting)
    run = Run(
        trial=pod.trial,
        attempt=pod.attempt,
        state=RunState.WAITING,
        created_at=job.created_at if job is not None else pod.created_at,
        started_at=pod.started_at,
        ended_at=pod.ended_at,
        reason=pod.reason,
        message=pod.message,
        disrupted=pod.disrupted,
        report=pod.report,
    )
    if pod.ended:
        overtime = job is not None and job.reason == "DeadlineExceeded" and pod.exit_code != 0
        # Deleted, but not by us, who record why before we stop: an attempt that was lost, whatever its exit code says.
        deleted = pod.deleting and not overtime and pod.exit_code != 0
        return replace(
            run,
            state=RunState.ENDED,
            exit_code=pod.exit_code,
            reason="DeadlineExceeded" if overtime else pod.reason,
            disrupted=pod.disrupted or deleted,
        )
    if pod.gone:
        return replace(run, state=RunState.ENDED, disrupted=True, message="its pod is gone without last words")
    if stopping:
        return replace(run, state=RunState.STOPPING)
    return replace(run, state=RunState.RUNNING) if pod.running else run


def _of_job(job: JobSeen, refused: Mapping[str, tuple[str, str]]) -> Run:
    run = Run(trial=job.trial, attempt=job.attempt, state=RunState.WAITING, created_at=job.created_at)
    if job.deleting:
        return replace(run, state=RunState.STOPPING)
    if job.ended and not job.failed:
        return replace(
            run,
            state=RunState.ENDED,
            exit_code=0,
            ended_at=job.ended_at,
            message="its pod is gone; only its Job says that it was done",
        )
    if job.ended:
        overtime = job.reason == "DeadlineExceeded"
        reason = job.reason if overtime else ""
        return replace(
            run, state=RunState.ENDED, ended_at=job.ended_at, reason=reason, message=job.message, disrupted=not overtime
        )
    if job.suspended:
        return replace(run, reason=SUSPENDED, message="the Job is suspended; it waits for whoever suspended it")
    reason, message = refused.get(job.identity.uid, ("", ""))
    return replace(run, reason=reason, message=message)


def _refused_trials(known: Known) -> tuple[str, ...]:
    """Trials that could not even be created: a matter for a person, of which no ledger tells."""
    problems = (problem for problem in known.problems.values() if problem.trial not in known.trials)
    return tuple(f"trial {problem.trial} cannot be created: {problem.message}" for problem in problems)


def _to_be_created(number: int, suggestion: Suggestion) -> Trial:
    return Trial(number=number, role=Role.SEARCH, suggestion=suggestion, created_at=0.0)
